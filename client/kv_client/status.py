"""The exit codes of kv-client."""

from enum import IntEnum
from http import HTTPStatus

from kv_client.errors import (
    BatchFailed,
    KeyExists,
    KeyNotFound,
    KVError,
    NotACounter,
    NotSubscribed,
    VersionMismatch,
)


class ExitStatus(IntEnum):
    """What a command's end tells a script."""

    OK = 0
    DEFECT = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    REFUSED = 5
    NOT_ALLOWED = 6
    OUT_OF_REACH = 7
    PARTIAL = 8
    INTERRUPTED = 130


_REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.INSUFFICIENT_STORAGE,
)


def exit_status(error: KVError) -> ExitStatus:
    """Return the exit code for an error of the contract."""
    if isinstance(error, KeyNotFound | NotSubscribed):
        return ExitStatus.NOT_FOUND
    if isinstance(error, KeyExists | VersionMismatch | NotACounter | BatchFailed):
        return ExitStatus.CONFLICT
    if error.status in _REFUSALS:
        return ExitStatus.REFUSED
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ExitStatus.NOT_ALLOWED
    # 429 and 5xx; or what answered has no such route, so it is no store, or not the store's place.
    return ExitStatus.OUT_OF_REACH
