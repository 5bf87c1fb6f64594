"""What can go wrong for a caller: the contract's errors, and those of the way to the store."""

from http import HTTPStatus

from handler.errors import (
    BatchFailed,
    EngineUnavailable,
    HandlerFailed,
    HandlerTimeout,
    InternalError,
    InvalidCursor,
    InvalidKey,
    InvalidRequest,
    KeyExists,
    KeyNotFound,
    KVError,
    MethodNotAllowed,
    NotACounter,
    NotSubscribed,
    RequestTooLarge,
    ResponseTooLarge,
    RouteNotFound,
    StoreFull,
    ValueTooLarge,
    VersionMismatch,
)

__all__ = [
    "AccessDenied",
    "BatchFailed",
    "DeliveryRefused",
    "EndpointError",
    "EngineUnavailable",
    "HandlerFailed",
    "HandlerTimeout",
    "InternalError",
    "InvalidCursor",
    "InvalidKey",
    "InvalidRequest",
    "KVError",
    "KeyExists",
    "KeyNotFound",
    "MethodNotAllowed",
    "NotACounter",
    "NotSubscribed",
    "OutOfReach",
    "RequestTooLarge",
    "ResponseTooLarge",
    "RouteNotFound",
    "StoreFull",
    "Throttled",
    "ValueTooLarge",
    "VersionMismatch",
    "named",
]


class OutOfReach(KVError):
    """No store answered: no connection, too late, or something else answered in its place."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class AccessDenied(KVError):
    """There are no credentials, or they do not allow the request."""

    status = HTTPStatus.FORBIDDEN


class DeliveryRefused(KVError):
    """Nobody can be told of changes so: the store has no topic, or SNS does not take it."""

    status = HTTPStatus.BAD_REQUEST


class Throttled(KVError):
    """There were more requests than the store, or AWS for it, takes at a time."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class EndpointError(Exception):
    """An endpoint's URL, or what leads to one, is wrong; the message says what would be right."""


def named(name: str) -> type[KVError] | None:
    """Return the error of that name."""
    found = globals().get(name)
    return found if isinstance(found, type) and issubclass(found, KVError) else None
