"""The HTTP surface: each route parses its request, calls the store once, and responds."""

import base64
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from handler import batch, docs, settings
from handler.body import IncrBody, PutBody, SetBody, decode
from handler.errors import InvalidKey, InvalidRequest
from handler.keys import check_key
from handler.model import Record, check_value
from handler.operations import BatchBody
from handler.preconditions import if_match, if_none_match, matches
from handler.store import open_store

STORE = open_store(settings.load())

router = APIGatewayHttpRouter()

_encode = msgspec.json.Encoder().encode
_set_body = msgspec.json.Decoder(SetBody)
_put_body = msgspec.json.Decoder(PutBody)
_incr_body = msgspec.json.Decoder(IncrBody)
_batch_body = msgspec.json.Decoder(BatchBody)

_DEFAULT_LIMIT = 100
_MAX_LIMIT = 1000

_MAX_AGE = re.compile(r'max-age="?([0-9]{1,9})"?')
_FRESH_ONLY = frozenset({"no-cache", "no-store"})

_METHODS = {
    "/keys": "GET, POST",
    "/keys/…": "GET, PUT, DELETE",
    "/subscriptions": "GET",
    "/subscriptions/…": "PUT, DELETE",
    "/changes": "GET",
    "/counters/…": "POST",
    "/batch": "POST",
    "/status": "GET",
    "/openapi.json": "GET",
    "/docs": "GET",
}


def allowed_methods(path: str) -> str | None:
    """Return the methods that a path knows, as ``Allow`` lists them; None for an unknown path."""
    collection, slash, _ = path[1:].partition("/")
    return _METHODS.get(f"/{collection}/…" if slash else f"/{collection}")


@router.post("/keys")
def set_key() -> Response[Any]:
    """Make a key that is not there."""
    body = decode(_body(), _set_body)
    record = STORE.set(
        check_key(body.key), check_value(body.value), ttl=body.ttl, token=_idempotency_key()
    )
    return _record(record, _made_or_changed(record), Location="/keys/" + quote(record.key))


@router.get("/keys/(?s:.*)")
def get_key() -> Response[Any]:
    """Return a key's record."""
    key = _key()
    known = if_none_match(_header("if-none-match"))
    max_age = _max_age()
    warm = STORE.warm(key, max_age) if max_age else None
    record, age = warm or (STORE.get(key), None)
    headers = {} if age is None else {"Age": str(age)}
    if known and matches(known, record.etag):
        return Response(HTTPStatus.NOT_MODIFIED, headers={**_etag(record), **headers})
    return _record(record, HTTPStatus.OK, **headers)


@router.put("/keys/(?s:.*)")
def put_key() -> Response[Any]:
    """Change a key's value."""
    if _header("if-none-match") is not None:
        # To pass over it would be to overwrite what the caller meant to spare.
        raise InvalidRequest("put takes no If-None-Match; set makes a key that is not there")
    body = decode(_body(), _put_body)
    record = STORE.put(
        _key(),
        check_value(body.value),
        ttl=body.ttl,
        if_match=if_match(_header("if-match")),
        create=_flag("create"),
        token=_idempotency_key(),
    )
    return _record(record, _made_or_changed(record))


@router.delete("/keys/(?s:.*)")
def delete_key() -> Response[Any]:
    """Delete a key."""
    STORE.delete(_key(), if_match=if_match(_header("if-match")))
    return Response(HTTPStatus.NO_CONTENT)


@router.get("/keys")
def get_all() -> Response[Any]:
    """Return records in key order, a page at a time."""
    page = STORE.page(_query("prefix") or "", _limit(), _query("cursor") or None)
    return _json({"items": page.items, "cursor": page.cursor})


@router.put("/subscriptions/(?s:.*)")
def subscribe() -> Response[Any]:
    """Subscribe to a key's changes."""
    return _record(STORE.subscribe(_key()))


@router.delete("/subscriptions/(?s:.*)")
def unsubscribe() -> Response[Any]:
    """End the subscription to a key."""
    STORE.unsubscribe(_key())
    return Response(HTTPStatus.NO_CONTENT)


@router.get("/subscriptions")
def get_subscriptions() -> Response[Any]:
    """Return the subscribed keys in key order, a page at a time."""
    page = STORE.subscriptions(_limit(), _query("cursor") or None)
    return _json({"keys": page.items, "cursor": page.cursor})


@router.get("/changes")
def get_changes() -> Response[Any]:
    """Return the changes of subscribed keys after a cursor."""
    changes, cursor = STORE.changes(_query("since"), _limit())
    return _json({"changes": changes, "cursor": cursor})


@router.post("/counters/(?s:.*)")
def increment() -> Response[Any]:
    """Add to a whole number; a key that is not there starts at 0."""
    body = decode(_body().strip() or "{}", _incr_body)
    return _record(STORE.increment(_key(), body.by, token=_idempotency_key()))


@router.post("/batch")
def run_batch() -> Response[Any]:
    """Run many operations in order."""
    return _json({"results": batch.run(decode(_body(), _batch_body), STORE)})


@router.get("/status")
def get_status() -> Response[Any]:
    """Return the state of the store."""
    return _json(STORE.status())


@router.get("/openapi[.]json")
def get_openapi() -> Response[Any]:
    """Return this description of the store, in OpenAPI 3.1."""
    return Response(HTTPStatus.OK, "application/json", docs.document())


@router.get("/docs")
def get_docs() -> Response[Any]:
    """Return a page to read this description and try requests on: Swagger UI."""
    headers: dict[str, str | list[str]] = {"Content-Security-Policy": docs.PAGE_POLICY}
    return Response(HTTPStatus.OK, "text/html; charset=utf-8", docs.page(), headers)


def _key() -> str:
    """Return the key that the path names after its first segment.

    Some gateways hand the path over decoded: since a key holds no ``%``, decoding it again changes
    nothing.
    """
    encoded = router.current_event.path[1:].partition("/")[2]
    try:
        return check_key(unquote(encoded, errors="strict"))
    except UnicodeDecodeError as error:
        raise InvalidKey("a key is UTF-8, percent-encoded in the path; this one is not") from error


def _body() -> str:
    text = router.current_event.body or ""
    if router.current_event.is_base64_encoded:
        try:
            return base64.b64decode(text).decode()
        except ValueError as error:
            raise InvalidRequest("the body is not UTF-8") from error
    return text


def _header(name: str) -> str | None:
    # Powertools looks header fields up without regard to case: some gateways pass them as written.
    return router.current_event.headers.get(name)


def _query(name: str) -> str | None:
    return (router.current_event.query_string_parameters or {}).get(name)


def _limit() -> int:
    text = _query("limit") or str(_DEFAULT_LIMIT)
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= _MAX_LIMIT:
        raise InvalidRequest(f"limit is {text!r}: it must be a whole number from 1 to {_MAX_LIMIT}")
    return int(text)


def _flag(name: str) -> bool:
    text = _query(name)
    if text not in (None, "true", "false"):
        raise InvalidRequest(f"{name} is {text!r}: it must be true or false")
    return text == "true"


def _idempotency_key() -> str | None:
    token = _header("idempotency-key")
    if token is not None and not re.fullmatch("[ -~]{1,128}", token):
        raise InvalidRequest("Idempotency-Key takes 1 to 128 printable ASCII characters")
    return token


def _max_age() -> int:
    """Return how old a record may be that a get answers, in seconds.

    A directive that is not understood is ignored, as in RFC 9111, section 5.2.3.
    """
    directives = [each.strip().lower() for each in (_header("cache-control") or "").split(",")]
    if not _FRESH_ONLY.isdisjoint(directives):
        return 0
    ages = [found[1] for each in directives if (found := _MAX_AGE.fullmatch(each))]
    return min(map(int, ages), default=0)


def _record(record: Record, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Response[Any]:
    return _json(record, status, {**_etag(record), **headers})


def _made_or_changed(record: Record) -> HTTPStatus:
    """Return the status of a write; with an Idempotency-Key, of the write that carried it first."""
    return HTTPStatus.CREATED if record.version == 1 else HTTPStatus.OK


def _etag(record: Record) -> dict[str, str | list[str]]:
    return {"ETag": f'"{record.etag}"'}


def _json(
    content: object,
    status: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str | list[str]] | None = None,
) -> Response[Any]:
    return Response(status, "application/json", _encode(content).decode(), headers)
