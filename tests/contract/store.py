"""A store as HTTP shows it: requests go out as they are written, answers come back raw."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

import pytest
import requests

from kv_client.endpoints import open_endpoint
from tests.polling import eventually

ERRORS = {
    "InvalidKey": 400,
    "InvalidRequest": 400,
    "InvalidCursor": 400,
    "KeyNotFound": 404,
    "NotSubscribed": 404,
    "RouteNotFound": 404,
    "MethodNotAllowed": 405,
    "KeyExists": 409,
    "NotACounter": 409,
    "BatchFailed": 409,
    "VersionMismatch": 412,
    "ValueTooLarge": 413,
    "RequestTooLarge": 413,
    "ResponseTooLarge": 413,
    "InternalError": 500,
    "HandlerFailed": 502,
    "EngineUnavailable": 503,
    "HandlerTimeout": 504,
    "StoreFull": 507,
}
# A gateway may answer these itself.
_OF_A_GATEWAY = {"RequestTooLarge", "HandlerFailed", "HandlerTimeout"}

MEBIBYTE = 1024 * 1024
MAX_VALUE_BYTES = 384 * 1024

Headers = Mapping[str, str] | None


class Store:
    """Sends requests to one endpoint; what holds for every answer is checked on every one.

    A value is JSON text here, and goes into the body unchanged.

    Attributes:
        runtime: The name of the runtime behind the endpoint.
    """

    def __init__(self, runtime: str, url: str, environment: Headers = None) -> None:
        self.runtime = runtime
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (environment or {}).items():
                patch.setenv(name, value)
            self._endpoint = open_endpoint(url)
            # The first request settles with which credentials all are signed.
            self.send("GET", "/status")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._endpoint.session.close()

    @property
    def engine(self) -> str:
        return self.send("GET", "/status").headers["KV-Engine"]

    def send(
        self, method: str, target: str, body: bytes | str = b"", headers: Headers = None
    ) -> requests.Response:
        session = self._endpoint.session
        request = requests.PreparedRequest()
        request.prepare_method(method)
        # Requests itself would resolve the segments . and .., and encode some characters anew.
        request.url = self._endpoint.base + target
        request.prepare_headers({**session.headers, **(headers or {})})
        data = body.encode() if isinstance(body, str) else body
        if data:
            request.headers["Content-Type"] = "application/json"
        request.prepare_body(data, None)
        request.prepare_auth(session.auth)
        response = session.send(request, allow_redirects=False, timeout=60)
        response.encoding = "utf-8"
        _check(response)
        return response

    def set(
        self, key: str, value: str = "1", headers: Headers = None, **fields: Any
    ) -> requests.Response:
        return self.send("POST", "/keys", _body(value, key=key, **fields), headers)

    def get(self, key: str, headers: Headers = None) -> requests.Response:
        return self.send("GET", path("keys", key), headers=headers)

    def put(
        self, key: str, value: str = "2", headers: Headers = None, query: str = "", **fields: Any
    ) -> requests.Response:
        return self.send("PUT", path("keys", key) + query, _body(value, **fields), headers)

    def delete(self, key: str, headers: Headers = None) -> requests.Response:
        return self.send("DELETE", path("keys", key), headers=headers)

    def getall(self, **query: Any) -> requests.Response:
        return self.send("GET", target("/keys", query))

    def subs(self, key: str) -> requests.Response:
        return self.send("PUT", path("subscriptions", key))

    def unsubs(self, key: str) -> requests.Response:
        return self.send("DELETE", path("subscriptions", key))

    def suball(self, **query: Any) -> requests.Response:
        return self.send("GET", target("/subscriptions", query))

    def changes(self, **query: Any) -> requests.Response:
        return self.send("GET", target("/changes", query))

    def incr(self, key: str, headers: Headers = None, **fields: Any) -> requests.Response:
        body = json.dumps(fields) if fields else ""
        return self.send("POST", path("counters", key), body, headers)

    def batch(self, *operations: Mapping[str, Any], **fields: Any) -> requests.Response:
        return self.send("POST", "/batch", json.dumps({"operations": operations, **fields}))

    def have(self, *keys: str, **fields: Any) -> None:
        """Make records, subscribed to if ``subscribed`` says so."""
        subscribed = fields.pop("subscribed", False)
        sets = [{"op": "set", "key": key, "value": 1, **fields} for key in keys]
        subs = [{"op": "subs", "key": key} for key in keys if subscribed]
        statuses = [result["status"] for result in self.batch(*sets, *subs).json()["results"]]
        assert [201] * len(sets) + [200] * len(subs) == statuses

    def keys(self, prefix: str, **query: Any) -> list[str]:
        """Return the keys that begin with ``prefix``, over all pages."""
        return [item["key"] for page in self.pages(prefix=prefix, **query) for item in page]

    def pages(self, **query: Any) -> Iterator[list[dict[str, Any]]]:
        cursor = ""
        while cursor is not None:
            page = self.getall(cursor=cursor, **query).json()
            yield page["items"]
            cursor = page["cursor"]

    def subscribed(self, prefix: str, **query: Any) -> list[str]:
        """Return the subscribed keys that begin with ``prefix``, over all pages."""
        keys: list[str] = []
        cursor = ""
        while cursor is not None:
            page = self.suball(cursor=cursor, **{"limit": 1000, **query}).json()
            keys += page["keys"]
            cursor = page["cursor"]
        return [each for each in keys if each.startswith(prefix)]

    def now(self) -> str:
        """Return the cursor of now in the changes feed."""
        cursor = self.changes().json()["cursor"]
        assert isinstance(cursor, str)
        return cursor

    def feed(self, since: str, prefix: str, last: str) -> list[dict[str, Any]]:
        """Return the changes of keys with a prefix, until one has the ETag ``last``."""
        seen: list[dict[str, Any]] = []
        cursor = since

        def more() -> list[dict[str, Any]]:
            nonlocal cursor
            page = self.changes(since=cursor).json()
            cursor = page["cursor"]
            seen.extend(change for change in page["changes"] if change["key"].startswith(prefix))
            return seen

        return eventually(more, lambda changes: last in [change["etag"] for change in changes])


def path(collection: str, key: str) -> str:
    return f"/{collection}/{quote(key)}"


def target(collection: str, query: Mapping[str, Any]) -> str:
    return f"{collection}?{urlencode(query, quote_via=quote)}" if query else collection


def error(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("error", "none")


def state(record: Mapping[str, Any]) -> tuple[int, str]:
    return record["version"], record["etag"]


def value_text(response: requests.Response) -> str:
    """Return the value's text in the answer that is one record: its neighbours part it."""
    before, _, rest = response.text.partition('"value":')
    text, found, _ = rest.rpartition(',"version":')
    assert found, f"{before} has no value"
    return text


def changed(text: str, at: int) -> str:
    """Return a cursor with another character at one place."""
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def _body(value: str, **fields: Any) -> str:
    members = [f"{json.dumps(name)}:{json.dumps(field)}" for name, field in fields.items()]
    return "{" + ",".join([*members, f'"value":{value}']) + "}"


def _check(response: requests.Response) -> None:
    """Hold an answer to what the contract says of every one."""
    own = True
    if response.status_code >= 400 and response.request.method != "HEAD":
        content = response.json()
        own = content["error"] not in _OF_A_GATEWAY
        fields = {"statusCode", "error", "message"}
        if content["error"] == "BatchFailed":
            fields.add("results")
        assert fields == set(content)
        assert response.status_code == content["statusCode"] == ERRORS[content["error"]]
        assert content["message"]
    if own:
        assert response.headers["KV-Engine"] in ("memory", "dynamodb")
        assert (response.headers["KV-Engine"] == "memory") == bool(response.headers["KV-Instance"])
        assert response.headers["Cache-Control"] == "no-store"
    if response.content and response.request.method != "HEAD":
        page = response.ok and urlsplit(response.request.url).path == "/docs"
        wanted = "text/html; charset=utf-8" if page else "application/json"
        assert wanted == response.headers["Content-Type"]
