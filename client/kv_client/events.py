"""HTTP requests as API Gateway events, and what a function returns as HTTP responses.

The form is API Gateway's payload format 2.0 for HTTP APIs, which function URLs and
``sam local start-api`` send too.
"""

import base64
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from kv_client.errors import HandlerFailed, HandlerTimeout

_STAGE = "$default"


class HTTPResponse(NamedTuple):
    """A response, apart from the library that carries it."""

    status: int
    headers: dict[str, str]
    body: bytes


def event_of(method: str, target: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return the event for a request.

    Args:
        method: The HTTP method.
        target: Path and query as they were sent, still encoded.
        headers: The header fields; their names become lower case, as API Gateway has them.
        body: The bytes that were sent; those that are not UTF-8 travel as base64.
    """
    path, _, query = target.partition("?")
    fields = {name.lower(): value for name, value in headers.items()}
    now = time.time()
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": _STAGE,
        "rawPath": path,
        "rawQueryString": query,
        "headers": fields,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": fields.get("host", "localhost"),
            "domainPrefix": "local",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": fields.get("user-agent", ""),
            },
            "requestId": secrets.token_urlsafe(12),
            "routeKey": _STAGE,
            "stage": _STAGE,
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if parameters := _query_parameters(query):
        event["queryStringParameters"] = parameters
    if body:
        try:
            event["body"] = body.decode()
        except UnicodeDecodeError:
            event["body"] = base64.b64encode(body).decode()
            event["isBase64Encoded"] = True
    return event


def response_of(result: Any) -> HTTPResponse:
    """Return the response that a function's result stands for.

    Raises:
        HandlerFailed: The result is none: the function raised, or is another one.
        HandlerTimeout: The function took too long.
    """
    if not isinstance(result, dict):
        result = {}
    if "Task timed out" in str(result.get("errorMessage")):
        raise HandlerTimeout("the function took longer than its timeout")
    if raised := result.get("errorType"):
        raise HandlerFailed(f"the function raised {raised}; its log tells more")
    match {"body": None, "headers": None, **result}:
        case {
            "statusCode": int() as status,
            "body": str() | None as text,
            "headers": dict() | None as headers,
        }:
            fields = {name: str(value) for name, value in (headers or {}).items()}
            with suppress(ValueError):
                encoded = result.get("isBase64Encoded")
                body = base64.b64decode(text or "") if encoded else (text or "").encode()
                return HTTPResponse(status, fields, body)
    raise HandlerFailed("the function answered, but not as a kv-store does: is it one?")


def _query_parameters(query: str) -> dict[str, str]:
    """Return the query's parameters; those given twice are joined by commas, as in API Gateway."""
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters
