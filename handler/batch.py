"""Many operations in one request: one decode, one pass, one encode."""

from http import HTTPStatus

import msgspec

from handler.errors import BatchFailed, KVError
from handler.model import MAX_PAGE_BYTES, Record, RecordState, json_bound
from handler.operations import BatchBody, Operation, Put, Set
from handler.store import Store
from handler.store.refusals import no_room_in_answer


class Done(msgspec.Struct, frozen=True):
    """What an operation answered."""

    status: int
    record: Record | RecordState | None


class Failed(msgspec.Struct, frozen=True):
    """Why an operation could not be."""

    status: int
    error: str
    message: str


def run(batch: BatchBody, store: Store) -> list[Done | Failed]:
    """Run a batch and return one result for each operation, all of which an answer can carry.

    Raises:
        BatchFailed: The batch is atomic and one operation could not be, so none was.
    """
    outcomes = store.batch(batch.operations, atomic=batch.atomic)
    if batch.atomic and outcomes and isinstance(outcomes[-1], KVError):
        raise _failure(len(batch.operations), len(outcomes) - 1, outcomes[-1])
    results = [_result(*pair) for pair in zip(batch.operations, outcomes, strict=True)]
    # Results without a value are all answered; the records share the room that these leave.
    room = MAX_PAGE_BYTES - sum(_bound(result) for result in results if not _has_value(result))
    for index, result in enumerate(results):
        if _has_value(result):
            if (size := _bound(result)) > room:
                too_large = no_room_in_answer()
                results[index] = _failed(too_large)
            else:
                room -= size
    return results


def _result(operation: Operation, outcome: Record | None | KVError) -> Done | Failed:
    if isinstance(outcome, KVError):
        return _failed(outcome)
    if outcome is None:
        return Done(HTTPStatus.NO_CONTENT, None)
    if operation.answers_value:
        return Done(HTTPStatus.OK, outcome)
    created = isinstance(operation, Set | Put) and outcome.version == 1
    return Done(HTTPStatus.CREATED if created else HTTPStatus.OK, RecordState.of(outcome))


def _has_value(result: Done | Failed) -> bool:
    return isinstance(result, Done) and isinstance(result.record, Record)


def _bound(result: Done | Failed) -> int:
    """Return a number of bytes that the result's JSON text does not pass."""
    match result:
        case Failed(message=text) | Done(record=RecordState(key=text)):
            return json_bound(text)
        case Done(record=Record(key=key, value=value)):
            return json_bound(key, value)
    return json_bound("")


def _failed(error: KVError) -> Failed:
    return Failed(error.status, type(error).__name__, error.message)


def _failure(count: int, index: int, cause: KVError) -> BatchFailed:
    message = f"operation {index} could not be, so none was done: {cause.message}"
    others = Failed(BatchFailed.status, BatchFailed.__name__, f"not done: operation {index} failed")
    results: list[Done | Failed] = [others] * count
    results[index] = _failed(cause)
    return BatchFailed(message, results)
