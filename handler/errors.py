"""What can go wrong, in the words of the contract.

The status lives in the type, the message is the only argument, and the name of the class
is the ``error`` that a caller reads.
"""

from http import HTTPStatus
from typing import Any, ClassVar


class KVError(Exception):
    """An answer that is not a success.

    Args:
        message: What was wrong and, where it helps, what would be right. It never holds a value.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def headers(self) -> dict[str, str]:
        """Header fields that this error adds to its answer."""
        return {}

    @property
    def details(self) -> dict[str, Any]:
        """Fields that this error's body has beside ``statusCode``, ``error`` and ``message``."""
        return {}


class InvalidKey(KVError):
    """The key breaks a rule."""

    status = HTTPStatus.BAD_REQUEST


class InvalidRequest(KVError):
    """The body is not what the request takes, or a parameter is out of range."""

    status = HTTPStatus.BAD_REQUEST


class InvalidCursor(KVError):
    """No answer gave this cursor out, or it is too old."""

    status = HTTPStatus.BAD_REQUEST


class KeyNotFound(KVError, KeyError):
    """The key is not there.

    This is also a ``KeyError``, so that a mapping of keys behaves as one.
    """

    status = HTTPStatus.NOT_FOUND

    # KeyError would show the message in quotes.
    __str__ = Exception.__str__


class NotSubscribed(KVError):
    """Nobody subscribed to the key."""

    status = HTTPStatus.NOT_FOUND


class RouteNotFound(KVError):
    """The path is none of the store's."""

    status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(KVError):
    """The path is known, the method is not.

    Args:
        message: See KVError.
        allow: The methods that the path knows, for the ``Allow`` field of RFC 9110, section 10.2.1.
    """

    status = HTTPStatus.METHOD_NOT_ALLOWED

    def __init__(self, message: str, allow: str = "") -> None:
        super().__init__(message)
        self.allow = allow

    @property
    def headers(self) -> dict[str, str]:
        return {"Allow": self.allow}


class KeyExists(KVError):
    """Set of a key that is there."""

    status = HTTPStatus.CONFLICT


class NotACounter(KVError):
    """The value is not a whole number, or would leave 64 bits."""

    status = HTTPStatus.CONFLICT


class BatchFailed(KVError):
    """An atomic batch that could not be.

    Args:
        message: See KVError.
        results: One result for each operation, as in the contract's Batch.
    """

    status = HTTPStatus.CONFLICT

    def __init__(self, message: str, results: list[Any] | None = None) -> None:
        super().__init__(message)
        self.results = results or []

    @property
    def details(self) -> dict[str, Any]:
        return {"results": self.results}


class VersionMismatch(KVError):
    """If-Match names another state than the current one."""

    status = HTTPStatus.PRECONDITION_FAILED


class ValueTooLarge(KVError):
    """A value over its limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class RequestTooLarge(KVError):
    """A request over what Lambda carries."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class ResponseTooLarge(KVError):
    """An answer over what Lambda carries."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class InternalError(KVError):
    """A defect of the handler."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class HandlerFailed(KVError):
    """From the gateway: the function behind it broke."""

    status = HTTPStatus.BAD_GATEWAY


class EngineUnavailable(KVError):
    """The engine is out of reach for now.

    Args:
        message: See KVError.
        retry_after: Whole seconds after which another try makes sense.
    """

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class HandlerTimeout(KVError):
    """From the gateway: the function behind it took too long."""

    status = HTTPStatus.GATEWAY_TIMEOUT


class StoreFull(KVError):
    """The memory engine is at ``max_bytes``."""

    status = HTTPStatus.INSUFFICIENT_STORAGE


def body_of(error: KVError) -> dict[str, Any]:
    """The error object that every gateway and the handler answer with."""
    return {
        "statusCode": int(error.status),
        "error": type(error).__name__,
        "message": error.message,
        **error.details,
    }
