"""What the OpenAPI document says beyond the handler's routes and structs."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from handler import errors
from handler.body import IncrBody, PutBody, SetBody
from handler.errors import KVError
from handler.keys import MAX_KEY_BYTES
from handler.model import Change, Record
from handler.operations import BatchBody

INFO = """\
A key-value store. A **key** is 1 to 1024 bytes of UTF-8, in segments parted by `/`; no segment is
empty, `.` or `..`. It holds none of `%` `?` `#` `\\`, no control character, no lone surrogate, and
no white space at either end. In a path it is percent-encoded; `/` may stand as it is.
A **value** is any JSON value of at most 384 KiB, and comes back as the text that was sent.

Unknown query parameters are ignored, unknown fields of a body are refused. Every answer of the
store carries `KV-Engine`, `KV-Instance` and `Cache-Control`; what a gateway in front of it answers
has the same form without the `KV-` fields. An unknown path is answered with 404 `RouteNotFound`, an
unknown method of a known path with 405 `MethodNotAllowed` and `Allow`. Where a deployed store
asks for IAM authorization, requests are signed with AWS Signature Version 4.
"""

TAGS = {
    "Records": "Keys and their values.",
    "Subscriptions": "Which keys are watched, and what happened to them.",
    "Batch": "Many operations in one request.",
    "Store": "The store itself.",
}


class Items(msgspec.Struct):
    """A page of records, in key order."""

    items: list[Record]
    cursor: str | None


class Keys(msgspec.Struct):
    """A page of subscribed keys, in key order."""

    keys: list[str]
    cursor: str | None


class Changes(msgspec.Struct):
    """Changes, oldest first; the cursor is the one to go on from."""

    changes: list[Change]
    cursor: str


class Answer(NamedTuple):
    """An answer that is no error; ``schema`` names one of the document's schemas."""

    status: HTTPStatus
    description: str
    schema: str | None = None
    headers: tuple[str, ...] = ()
    content_type: str = "application/json"


class Route(NamedTuple):
    """What a route takes and answers; ``errors`` are those beside ``ERRORS_OF_EVERY_ROUTE``."""

    tag: str
    answers: Sequence[Answer]
    errors: Sequence[type[KVError]] = ()
    parameters: Sequence[str] = ()
    body: type[msgspec.Struct] | None = None
    note: str | None = None


_MADE = Answer(HTTPStatus.CREATED, "The record that was made.", "Record", ("ETag", "Location"))
_RECORD = Answer(HTTPStatus.OK, "The record.", "Record", ("ETag",))
_DONE = Answer(HTTPStatus.NO_CONTENT, "Done.")

_OF_A_KEY = (errors.InvalidKey, errors.InvalidRequest, errors.KeyNotFound)
_OF_A_PAGE = (errors.InvalidRequest, errors.InvalidCursor, errors.EngineUnavailable)
_OF_A_WRITE = (errors.ValueTooLarge, errors.StoreFull, errors.EngineUnavailable)

ERRORS_OF_EVERY_ROUTE = (
    errors.RequestTooLarge,
    errors.InternalError,
    errors.HandlerFailed,
    errors.HandlerTimeout,
)

# Those that a gateway may answer itself.
ERRORS_OF_GATEWAYS = {errors.RequestTooLarge, errors.HandlerFailed, errors.HandlerTimeout}

ROUTES = {
    "set_key": Route(
        "Records",
        [_MADE],
        [errors.InvalidKey, errors.InvalidRequest, errors.KeyExists, *_OF_A_WRITE],
        ["Idempotency-Key"],
        SetBody,
    ),
    "get_key": Route(
        "Records",
        [
            _RECORD._replace(headers=("ETag", "Age")),
            Answer(HTTPStatus.NOT_MODIFIED, "The ETag still holds.", None, ("ETag",)),
        ],
        [*_OF_A_KEY, errors.EngineUnavailable],
        ["key", "If-None-Match", "Cache-Control"],
    ),
    "put_key": Route(
        "Records",
        [_RECORD, _MADE._replace(headers=("ETag",))],
        [*_OF_A_KEY, errors.VersionMismatch, *_OF_A_WRITE],
        ["key", "create", "If-Match", "Idempotency-Key"],
        PutBody,
        "With `create` and `If-Match`, a key that is not there is VersionMismatch, and not made.",
    ),
    "delete_key": Route(
        "Records",
        [_DONE],
        [*_OF_A_KEY, errors.VersionMismatch, errors.EngineUnavailable],
        ["key", "If-Match"],
        note="Ends the subscription to the key, too.",
    ),
    "get_all": Route(
        "Records",
        [Answer(HTTPStatus.OK, "A page.", "Items")],
        _OF_A_PAGE,
        ["prefix", "limit", "cursor"],
        note="A page also ends before its body passes 4 MiB. "
        "A key that is there during the whole listing is listed exactly once.",
    ),
    "increment": Route(
        "Records",
        [_RECORD],
        [errors.InvalidKey, errors.InvalidRequest, errors.NotACounter, *_OF_A_WRITE[1:]],
        ["key", "Idempotency-Key"],
        IncrBody,
    ),
    "subscribe": Route(
        "Subscriptions",
        [_RECORD],
        [errors.InvalidKey, errors.KeyNotFound, errors.EngineUnavailable],
        ["key"],
        note="`version` and `etag` stay. Deleting the key, or its expiry, ends the subscription.",
    ),
    "unsubscribe": Route(
        "Subscriptions",
        [_DONE],
        [errors.InvalidKey, errors.KeyNotFound, errors.NotSubscribed, errors.EngineUnavailable],
        ["key"],
    ),
    "get_subscriptions": Route(
        "Subscriptions",
        [Answer(HTTPStatus.OK, "A page.", "Keys")],
        _OF_A_PAGE,
        ["limit", "cursor"],
    ),
    "get_changes": Route(
        "Subscriptions",
        [Answer(HTTPStatus.OK, "The changes, and the cursor after them.", "Changes")],
        _OF_A_PAGE,
        ["since", "limit"],
        note="Each subscribed key that changed is reported with at least its latest state; "
        "one change may come twice, which its `etag` tells.",
    ),
    "run_batch": Route(
        "Batch",
        [Answer(HTTPStatus.OK, "A result for each operation, in order.", "Results")],
        [errors.InvalidRequest, errors.BatchFailed, errors.EngineUnavailable],
        body=BatchBody,
        note="A malformed operation makes the whole request InvalidRequest; a bad key or value "
        "fails in its own result, and the others go on. With `atomic` all happen or none.",
    ),
    "get_status": Route(
        "Store",
        [Answer(HTTPStatus.OK, "The state.", "Status")],
        [errors.EngineUnavailable],
    ),
    "get_openapi": Route("Store", [Answer(HTTPStatus.OK, "This document.", "Document")]),
    "get_docs": Route(
        "Store",
        [Answer(HTTPStatus.OK, "The page.", "Page", ("Content-Security-Policy",), "text/html")],
    ),
}


def _key_pattern() -> str:
    """Return the rules for keys as a pattern without lookaround, which not every language has."""
    forbidden = r"%?#\\\x00-\x1f\x7f-\x9f/"
    space = " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
    any_, ends, starts = f"[^{forbidden}]", f"[^{forbidden}{space}]", f"[^{forbidden}.{space}]"
    no_dot = f"[^{forbidden}.]"
    only = (
        rf"(?:{starts}(?:{any_}*{ends})?|\.{{1,2}}(?:{starts}|{no_dot}{any_}*{ends})"
        rf"|\.{{3}}(?:{any_}*{ends})?)"
    )
    first = rf"(?:{starts}|\.{{1,2}}{no_dot}|\.{{3}}){any_}*"
    middle = rf"(?:\.{{0,2}}{no_dot}|\.{{3}}){any_}*"
    last = rf"(?:\.{{0,2}}(?:{starts}|{no_dot}{any_}*{ends})|\.{{3}}(?:{any_}*{ends})?)"
    return f"^(?:{only}|{first}/(?:{middle}/)*{last})$"


_TIME = {"type": "string", "format": "date-time"}
_ETAGS = r'^(?:\*|(?:W/)?"[^"]*"(?:\s*,\s*(?:W/)?"[^"]*")*)$'

# Merged into every property of that name, wherever a struct has it.
FIELDS: dict[str, dict[str, Any]] = {
    "value": {"description": "Any JSON value, at most 384 KiB (393,216 bytes) of JSON in UTF-8."},
    "ttl": {
        "description": "Whole seconds to live. On put, absent leaves the expiry as it is and null "
        "removes it."
    },
    "version": {"description": "1 after set, and 1 more with every put or increment."},
    "etag": {"description": "Opaque, and unique to one write."},
    "cursor": {"description": "Opaque. The cursor of the part that follows; null on the last."},
    "by": {"description": "What is added; may be below 0."},
    "if_match": {"description": "An `etag` as records have it, or what the field If-Match takes."},
    "create": {"description": "Make the key where it is not there."},
    "atomic": {"description": "All of the operations, or none."},
    "instance": {"description": "What tells this copy of the memory engine from others."},
    "engine": {"enum": ["memory", "dynamodb"]},
    "status": {"description": "The HTTP status that the operation alone would have had."},
}
# The same for one struct.
FIELDS_OF: dict[str, dict[str, dict[str, Any]]] = {
    "Record": {
        "created_at": _TIME,
        "updated_at": _TIME,
        "expires_at": {"description": "Null where there is no time to live."},
    },
    "Change": {"at": _TIME, "value": {"description": "The value; null for del."}},
    "Status": {"version": {"description": "The software's version."}, "started_at": _TIME},
}

_WRITTEN = {
    "version": 1,
    "etag": "5f0c9ad21b7e4c36-1",
    "created_at": "2026-11-24T20:55:43.123Z",
    "updated_at": "2026-11-24T20:55:43.123Z",
    "expires_at": None,
    "subscribed": False,
}
_ETAG = f'"{_WRITTEN["etag"]}"'

EXAMPLES: dict[str, Any] = {
    "Key": "users/ashish",
    "Record": {"key": "users/ashish", "value": {"role": "admin"}, **_WRITTEN},
    "SetBody": {"key": "users/ashish", "value": {"role": "admin"}, "ttl": 3600},
    "PutBody": {"value": {"role": "owner"}},
    "IncrBody": {"by": 1},
    "Status": {
        "engine": "memory",
        "instance": "5f0c9ad21b7e4c36",
        "started_at": "2026-11-24T20:00:00.000Z",
        "version": "0.1.0",
        "keys": 2,
        "bytes": 41,
        "max_bytes": 268435456,
        "subscriptions": 1,
        "topic": None,
    },
    "BatchBody": {
        "operations": [
            {"op": "set", "key": "users/lena", "value": "Lena"},
            {"op": "incr", "key": "visits", "by": 2},
            {"op": "get", "key": "users/lena"},
        ]
    },
}

# One of each error, as a caller may meet it.
ERRORS: Sequence[KVError] = (
    errors.InvalidKey("a key has no white space at either end"),
    errors.InvalidRequest("limit is '0': it must be a whole number from 1 to 1000"),
    errors.InvalidCursor("no answer of this store gave out this cursor for this listing"),
    errors.KeyNotFound("there is no key 'users/ashish'"),
    errors.NotSubscribed("'users/ashish' is not subscribed to"),
    errors.RouteNotFound("there is no such path; GET /openapi.json lists those there are"),
    errors.MethodNotAllowed("this path takes GET, POST", "GET, POST"),
    errors.KeyExists("'users/ashish' is there already; put changes it"),
    errors.NotACounter("the value of 'users/ashish' is not a whole number of 64 bits"),
    errors.BatchFailed("operation 0 could not be, so none was done: there is no key 'x'"),
    errors.VersionMismatch("'users/ashish' is at version 3, another than If-Match names"),
    errors.ValueTooLarge("a value is at most 393216 bytes of JSON; this one has 400000"),
    errors.RequestTooLarge("the request is larger than Lambda carries"),
    errors.ResponseTooLarge("this record did not fit; ask for it alone"),
    errors.InternalError("the handler has a defect; its log tells which"),
    errors.HandlerFailed("the endpoint behind this gateway is out of reach"),
    errors.EngineUnavailable("DynamoDB is out of reach for now"),
    errors.HandlerTimeout("no answer within 30 seconds"),
    errors.StoreFull("the store holds 268435456 of 268435456 bytes: delete something"),
)

_KEY = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_KEY_BYTES,
    "pattern": _key_pattern(),
    "description": "1 to 1024 bytes of UTF-8, in segments parted by `/`: none of them empty, `.` or"
    " `..`, no `%` `?` `#` `\\` or control character, no white space at either end. "
    "Outside the basic characters the limit of bytes is fewer than 1024 characters.",
    "examples": [EXAMPLES["Key"]],
}

_ERROR = {
    "statusCode": {"type": "integer", "description": "The status, again."},
    "error": {"type": "string", "enum": [type(error).__name__ for error in ERRORS]},
    "message": {"type": "string", "description": "What was wrong, and what would be right."},
}
_RESULTS = {
    "type": "array",
    "items": {
        "anyOf": [{"$ref": "#/components/schemas/Done"}, {"$ref": "#/components/schemas/Failed"}]
    },
}

# Schemas that no struct stands for: nothing but its fields parts a result from another.
SCHEMAS: dict[str, Any] = {
    "Key": _KEY,
    "Done": {
        "type": "object",
        "description": "What an operation answered: set, put and incr leave `value` out.",
        "required": ["status", "record"],
        "properties": {
            "status": {"enum": [200, 201, 204]},
            "record": {
                "anyOf": [
                    {"$ref": "#/components/schemas/Record"},
                    {"$ref": "#/components/schemas/RecordState"},
                    {"type": "null"},
                ]
            },
        },
    },
    "Results": {
        "type": "object",
        "required": ["results"],
        "properties": {"results": _RESULTS},
    },
    "Error": {"type": "object", "required": [*_ERROR], "properties": _ERROR},
    "BatchError": {
        "type": "object",
        "description": "Why an atomic batch could not be; nothing of it was done.",
        "required": [*_ERROR, "results"],
        "properties": {**_ERROR, "results": _RESULTS},
    },
    "Document": {"type": "object", "description": "An OpenAPI document."},
    "Page": {"type": "string", "description": "HTML that needs nothing else from anywhere."},
}

PARAMETERS: dict[str, dict[str, Any]] = {
    "key": {
        "in": "path",
        "required": True,
        "description": "The key, percent-encoded; `/` may stand as it is.",
        "schema": {"$ref": "#/components/schemas/Key"},
        # Swagger UI fills its form in from here.
        "example": EXAMPLES["Key"],
    },
    "prefix": {
        "in": "query",
        "description": "What the keys begin with.",
        "schema": {"type": "string"},
        "example": "users/",
    },
    "limit": {
        "in": "query",
        "description": "How many at most; an empty one is an absent one.",
        "allowEmptyValue": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    },
    "cursor": {
        "in": "query",
        "description": "Where to go on: the `cursor` of the page before, with the same `prefix`. "
        "An empty one is an absent one.",
        "allowEmptyValue": True,
        "schema": {"type": "string"},
    },
    "since": {
        "in": "query",
        "description": "The `cursor` of an earlier answer of this instance. Without it the answer "
        "is the cursor of now and no changes.",
        "schema": {"type": "string"},
    },
    "create": {
        "in": "query",
        "description": "Make the key where it is not there.",
        "schema": {"type": "boolean", "default": False},
    },
    "If-Match": {
        "in": "header",
        "description": "Only where the current state has one of these ETags; `*`: any state.",
        "schema": {"type": "string", "pattern": _ETAGS, "examples": [_ETAG]},
    },
    "If-None-Match": {
        "in": "header",
        "description": "304 where the current state has one of these ETags; `*`: any state.",
        "schema": {"type": "string", "pattern": _ETAGS, "examples": [_ETAG]},
    },
    "Idempotency-Key": {
        "in": "header",
        "description": "1 to 128 printable ASCII characters. Where the record's last write carried "
        "the same, its success is answered again and nothing is written.",
        "schema": {
            "type": "string",
            "maxLength": 128,
            "pattern": "^[!-~](?:[ -~]*[!-~])?$",
        },
    },
    "Cache-Control": {
        "in": "header",
        "description": "`max-age=N`: the dynamodb engine may answer from a copy up to N seconds "
        "old, with `Age`.",
        "schema": {"type": "string"},
    },
}

# Those that are required are on each answer that names them.
HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {
        "required": True,
        "description": "The record's `etag`, in double quotes.",
        "schema": {"type": "string", "pattern": '^"[^"]+"$'},
        "example": _ETAG,
    },
    "Location": {
        "required": True,
        "description": "The path of the record.",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/keys/users/ashish",
    },
    "Allow": {
        "required": True,
        "description": "The methods that the path knows.",
        "schema": {"type": "string"},
        "example": "GET, POST",
    },
    "Retry-After": {
        "required": True,
        "description": "Whole seconds after which another try makes sense.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    },
    "Age": {
        "description": "How many seconds old the answer is, where it comes from a copy.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Content-Security-Policy": {
        "description": "Keeps the page from asking anyone but this store.",
        "schema": {"type": "string"},
    },
    "KV-Engine": {
        "required": True,
        "description": "What holds the records.",
        "schema": {"type": "string", "enum": ["memory", "dynamodb"]},
    },
    "KV-Instance": {
        "required": True,
        "description": "Which copy of the memory engine answered; empty on dynamodb.",
        "schema": {"type": "string"},
        "example": "5f0c9ad21b7e4c36",
    },
    "Cache-Control": {
        "required": True,
        "description": "Answers are of the moment.",
        "schema": {"type": "string", "const": "no-store"},
    },
}
HEADERS_OF_EVERY_ANSWER = ("KV-Engine", "KV-Instance", "Cache-Control")
