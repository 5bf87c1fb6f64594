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
    status = HTTPStatus.BAD_REQUEST


class InvalidRequest(KVError):
    status = HTTPStatus.BAD_REQUEST


class InvalidCursor(KVError):
    status = HTTPStatus.BAD_REQUEST


class KeyNotFound(KVError, KeyError):
    """Also a ``KeyError``, so that a client's mapping behaves as mappings do."""

    status = HTTPStatus.NOT_FOUND

    # KeyError would show the message in quotes.
    __str__ = Exception.__str__


class NotSubscribed(KVError):
    status = HTTPStatus.NOT_FOUND


class RouteNotFound(KVError):
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
    status = HTTPStatus.CONFLICT


class NotACounter(KVError):
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
    status = HTTPStatus.PRECONDITION_FAILED


class ValueTooLarge(KVError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class RequestTooLarge(KVError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class ResponseTooLarge(KVError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class InternalError(KVError):
    status = HTTPStatus.INTERNAL_SERVER_ERROR


class HandlerFailed(KVError):
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
    status = HTTPStatus.GATEWAY_TIMEOUT


class StoreFull(KVError):
    status = HTTPStatus.INSUFFICIENT_STORAGE


def body_of(error: KVError) -> dict[str, Any]:
    """The error object that every gateway and the handler answer with."""
    return {
        "statusCode": int(error.status),
        "error": type(error).__name__,
        "message": error.message,
        **error.details,
    }
