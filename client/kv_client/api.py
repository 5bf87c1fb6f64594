"""KVClient: the store's verbs as methods, and the store as a mapping."""

import json
import secrets
from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    ValuesView,
)
from contextlib import contextmanager, suppress
from types import EllipsisType
from typing import Any, Self, TypeVar
from urllib.parse import quote

from handler import jsontext
from handler.keys import check_key
from kv_client.connection import Connection
from kv_client.endpoints import open_endpoint
from kv_client.errors import InvalidKey, KeyNotFound, NotSubscribed, OutOfReach
from kv_client.records import Change, Record

DEFAULT_TIMEOUT = 30.0
DEFAULT_RETRIES = 5
_PAGE = "1000"

T = TypeVar("T")


class JSON(str):
    """Text that is JSON already, to be stored as it stands: ``kv.set("price", JSON("1.10"))``.

    Raises:
        ValueError: The text is not one JSON value.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        return super().__new__(cls, jsontext.check(text))


class KVClient(MutableMapping[str, Any]):
    """A store, reached through an endpoint.

    As a mapping it holds the values as Python has them: ``kv["name"] = "ashish"`` makes or changes
    a record, ``del kv["name"]`` deletes it, iteration goes over the keys page by page in key order.
    Only ``get`` is the store's verb, not the mapping's: it returns a Record, or raises KeyNotFound.

    Args:
        endpoint: The store's URL; see the README for its kinds.
        timeout: Seconds that one request may take, its retries included. With lambda:// an
            invocation under way is waited for, up to 35 seconds, and with local:// always.
        retries: How often a request is sent again where that is safe.
        region: The AWS region, where the endpoint is in AWS; None for the configured one.
        aws_profile: The profile of the AWS configuration; None for the default.

    Raises:
        EndpointError: The endpoint's URL is none.

    Every method that asks the store raises the contract's errors, by their names, from
    ``kv_client.errors``; OutOfReach where no store answered, AccessDenied where credentials are
    missing or not enough.
    """

    def __init__(
        self,
        endpoint: str = "http://127.0.0.1:3000",
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retries: int = DEFAULT_RETRIES,
        region: str | None = None,
        aws_profile: str | None = None,
    ) -> None:
        way = open_endpoint(endpoint, region=region, aws_profile=aws_profile)
        self.connection = Connection(way, timeout, retries)

    def set(self, key: str, value: Any, *, ttl: int | None = None) -> Record:
        """Make a record.

        Args:
            key: The key; see the contract for what it may hold.
            value: Anything that ``json.dumps`` takes, or JSON for text that is JSON already.
            ttl: Seconds to live; None for ever.

        Raises:
            KeyExists: The key is there.
        """
        body = _body(key=json_text(check_key(key)), value=json_text(value), ttl=json_text(ttl))
        return self._record("POST", "/keys", headers=_once(), body=body)

    def get(self, key: str) -> Record:  # type: ignore[override]  # the verb, not the mapping's
        """Return a record.

        Raises:
            KeyNotFound: The key is not there. It is a KeyError too.
        """
        return self._record("GET", _path("keys", key))

    def put(
        self,
        key: str,
        value: Any,
        *,
        ttl: int | EllipsisType | None = ...,
        create: bool = False,
        if_match: str | None = None,
    ) -> Record:
        """Change a record's value.

        Args:
            key: The key.
            value: As in set.
            ttl: Seconds to live from now on; None for ever; by default the expiry stays as it is.
            create: Make the record where it is not there.
            if_match: The etag that the record must still have, or ``*`` for any.

        Raises:
            KeyNotFound: The key is not there, and ``create`` is not asked for.
            VersionMismatch: The record has another etag.
        """
        fields = {"value": json_text(value)}
        if ttl is not ...:
            fields["ttl"] = json_text(ttl)
        return self._record(
            "PUT",
            _path("keys", key),
            query={"create": "true"} if create else None,
            headers={**_once(), **_if_match(if_match)},
            body=_body(**fields),
        )

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Delete a record.

        Raises:
            KeyNotFound: The key is not there.
            VersionMismatch: The record has another etag than ``if_match``.
        """
        self.connection.send(
            "DELETE", _path("keys", key), headers=_if_match(if_match), done_if=KeyNotFound
        )

    def getall(self, prefix: str = "", *, page_size: int = 1000) -> Iterator[Record]:
        """Yield the records whose keys begin with ``prefix``, page by page in key order."""
        query = {"limit": str(page_size), "prefix": prefix}
        for page in self.pages("/keys", "items", lambda text: Record.parse(text.decode()), query):
            yield from page

    def subs(self, key: str) -> Record:
        """Subscribe to a key: its changes are reported from now on.

        Raises:
            KeyNotFound: The key is not there.
        """
        return self._record("PUT", _path("subscriptions", key))

    def unsubs(self, key: str) -> None:
        """End the subscription to a key.

        Raises:
            KeyNotFound: The key is not there.
            NotSubscribed: Nobody subscribed to it.
        """
        self.connection.send("DELETE", _path("subscriptions", key), done_if=NotSubscribed)

    def suball(self) -> Iterator[str]:
        """Yield the subscribed keys, page by page in key order."""
        for page in self.pages("/subscriptions", "keys", _string):
            yield from page

    def incr(self, key: str, by: int = 1) -> Record:
        """Add to a whole number; a key that is not there starts at 0.

        Raises:
            NotACounter: The value is not a whole number, or would leave 64 bits.
        """
        body = _body(by=json_text(by))
        return self._record("POST", _path("counters", key), headers=_once(), body=body)

    def changes(self, since: str | None = None) -> tuple[list[Change], str]:
        """Return the changes of subscribed keys after a cursor, oldest first, and the next cursor.

        Args:
            since: A cursor from an earlier call; None for the cursor of now, and no changes.

        Raises:
            InvalidCursor: It is too old, or another instance's: changes may have been missed.
        """
        query = {"limit": _PAGE, **({} if since is None else {"since": since})}
        answer = self.connection.send("GET", "/changes", query=query)
        with self.understood():
            parts = jsontext.members(answer.text)
            changes = [Change.parse(text) for text in jsontext.elements(parts["changes"])]
            return changes, json.loads(parts["cursor"])

    def batch(
        self, operations: Iterable[Mapping[str, Any]], *, atomic: bool = False
    ) -> list[dict[str, Any]]:
        """Run up to 1000 operations in one request, in order.

        Args:
            operations: Each has ``op`` and ``key``, and the fields of its verb:
                ``{"op": "put", "key": "name", "value": "ashish", "create": True}``.
            atomic: Whether all are to happen or none.

        Returns:
            For each operation what the contract's batch answers.

        Raises:
            BatchFailed: The batch is atomic, and one operation could not be.
            InvalidRequest: An operation is malformed.
        """
        texts = (_body(**{name: json_text(part) for name, part in op.items()}) for op in operations)
        body = _body(operations=f"[{','.join(texts)}]", atomic=json_text(atomic))
        answer = self.connection.send("POST", "/batch", body=body, repeatable=False)
        with self.understood():
            results: list[dict[str, Any]] = json.loads(answer.text)["results"]
        return results

    def status(self) -> dict[str, Any]:
        """Return what the store says of itself; see the contract's ``status``."""
        answer = self.connection.send("GET", "/status")
        with self.understood():
            return dict(json.loads(answer.text))

    def close(self) -> None:
        """Close the connections to the endpoint. What asks the store then raises RuntimeError."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, key: str) -> Any:
        return self.get(key).value

    def __setitem__(self, key: str, value: Any) -> None:
        self.put(key, value, create=True)

    def __delitem__(self, key: str) -> None:
        self.delete(key)

    def __contains__(self, key: object) -> bool:
        try:
            return isinstance(key, str) and bool(self.get(key))
        except (KeyNotFound, InvalidKey):
            return False

    def __iter__(self) -> Iterator[str]:
        return (record.key for record in self.getall())

    def items(self) -> ItemsView[str, Any]:
        """Return a view of the keys with their values, read page by page."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """Return a view of the values in key order, read page by page."""
        return _Values(self)

    def clear(self) -> None:
        """Delete every key, page by page."""
        for key in self:
            # Another may have been faster.
            with suppress(KeyNotFound):
                self.delete(key)

    def __len__(self) -> int:
        return sum(map(len, self.pages("/keys", "items", bytes)))

    def _record(self, method: str, path: str, **request: Any) -> Record:
        answer = self.connection.send(method, path, **request)
        with self.understood():
            return Record.parse(answer.text)

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Read an answer in the block: one that is not what was asked for is not a store's.

        Raises:
            OutOfReach: It is such an answer.
        """
        try:
            yield
        except (ValueError, LookupError, TypeError) as error:
            where = self.connection.endpoint.url
            raise OutOfReach(f"{where} answered something else: is it a kv-store?") from error

    def pages(
        self,
        path: str,
        member: str,
        parse: Callable[[bytes], T],
        query: Mapping[str, str] | None = None,
    ) -> Iterator[list[T]]:
        """Yield the pages of a listing.

        Args:
            path: The listing's path.
            member: The member of a page that holds its elements.
            parse: What makes an element of its JSON text.
            query: Parameters beside the cursor.
        """
        from kv_client import fastjson

        cursor: str | None = ""
        while cursor is not None:
            parameters = {"limit": _PAGE, **(query or {}), **({"cursor": cursor} if cursor else {})}
            answer = self.connection.send("GET", path, query=parameters)
            with self.understood():
                parts = fastjson.members(answer.text.encode())
                cursor = None if parts["cursor"] == b"null" else _string(parts["cursor"])
                page = [parse(text) for text in fastjson.elements(parts[member])]
            yield page


class _Items(ItemsView[str, Any]):
    """Takes the values from the listing, where a mapping's own view would get them one by one."""

    _mapping: KVClient

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((record.key, record.value) for record in self._mapping.getall())


class _Values(ValuesView[Any]):
    """Takes the values from the listing too."""

    _mapping: KVClient

    def __iter__(self) -> Iterator[Any]:
        return (record.value for record in self._mapping.getall())


def json_text(value: Any) -> str:
    """Return the JSON text of a value.

    Raises:
        TypeError: It is nothing that JSON knows.
        ValueError: It is NaN or infinite.
    """
    if isinstance(value, JSON):
        return str(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # A lone surrogate has no UTF-8, but an escape.
    return text if jsontext.is_utf8(text) else json.dumps(value, allow_nan=False)


def _string(text: bytes) -> str:
    """Return the string that JSON text is. Raises TypeError where it is none."""
    string = json.loads(text)
    if not isinstance(string, str):
        raise TypeError
    return string


def _body(**fields: str) -> str:
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


def _path(collection: str, key: str) -> str:
    return f"/{collection}/{quote(check_key(key))}"


def _once() -> dict[str, str]:
    """Return the header that lets the store recognise a retry."""
    return {"Idempotency-Key": secrets.token_urlsafe(16)}


def _if_match(etag: str | None) -> dict[str, str]:
    if etag is None:
        return {}
    return {"If-Match": etag if etag == "*" or etag.startswith('"') else f'"{etag}"'}
