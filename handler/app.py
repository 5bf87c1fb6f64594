"""The Lambda function: every way of running calls ``lambda_handler``, in the same form."""

import sys
from base64 import b64encode
from typing import Any

import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from handler import routes
from handler.errors import (
    InternalError,
    KVError,
    MethodNotAllowed,
    RouteNotFound,
    body_of,
)

# Lambda logs either stream; with local:// stdout is the command's own.
logger = Logger(service="kv-store", stream=sys.stderr)
app = APIGatewayHttpResolver()
app.include_router(routes.router)

# Base64 makes a body longer by a third; the escapes of the answer's own JSON can double it, and
# take it past what Lambda carries.
_LONGEST_PLAIN_BODY = 1024 * 1024

_EVERY_ANSWER = {
    "KV-Engine": routes.STORE.engine,
    "KV-Instance": routes.STORE.instance,
    "Cache-Control": "no-store",
}


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one HTTP request.

    Args:
        event: The request in API Gateway's payload format 2.0, that of HTTP APIs and function URLs.
        context: Lambda's context object.

    Returns:
        The response in the same format; see the contract for what it holds.
    """
    answer = app.resolve(event, context)
    answer["headers"].update(_EVERY_ANSWER)
    # Powertools says null where there is no body; not every gateway takes that.
    answer["body"] = answer["body"] or ""
    body = answer["body"].encode()
    if len(body) > _LONGEST_PLAIN_BODY:
        answer["body"] = b64encode(body).decode()
        answer["isBase64Encoded"] = True
    return answer


@app.exception_handler(KVError)
def refuse(error: KVError) -> Response[str]:
    """Answer what the contract foresees."""
    return _answer(error)


@app.not_found
def no_route(_: NotFoundError) -> Response[str]:
    """Answer a path, or a method of it, that no route has."""
    if allow := routes.allowed_methods(app.current_event.path):
        return _answer(MethodNotAllowed(f"this path takes {allow}", allow))
    return _answer(RouteNotFound("there is no such path; GET /openapi.json lists those there are"))


@app.exception_handler(Exception)
def fail(error: Exception) -> Response[str]:
    """Answer what nobody foresaw, and log it whole."""
    logger.error("a defect of the handler", exc_info=error)
    return _answer(InternalError("the handler has a defect; its log tells which"))


def _answer(error: KVError) -> Response[str]:
    body = msgspec.json.encode(body_of(error)).decode()
    return Response(error.status, "application/json", body, {**error.headers})
