"""Many operations in one request: one decode, one pass, one encode."""

from http import HTTPStatus

import msgspec

from handler.errors import BatchFailed, KVError, ResponseTooLarge
from handler.model import MAX_PAGE_BYTES, Record, RecordState, json_bound
from handler.operations import BatchBody, Operation, Put, Set
from handler.store import Store


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
    room = MAX_PAGE_BYTES
    results: list[Done | Failed] = []
    for operation, outcome in zip(batch.operations, outcomes, strict=True):
        result = _result(operation, outcome)
        if isinstance(result, Done) and isinstance(result.record, Record):
            if (size := json_bound(result.record)) > room:
                result = _failed(ResponseTooLarge("this record did not fit; ask for it alone"))
            else:
                room -= size
        results.append(result)
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


def _failed(error: KVError) -> Failed:
    return Failed(error.status, type(error).__name__, error.message)


def _failure(count: int, index: int, cause: KVError) -> BatchFailed:
    message = f"operation {index} could not be, so none was done: {cause.message}"
    others = Failed(BatchFailed.status, BatchFailed.__name__, f"not done: operation {index} failed")
    results: list[Done | Failed] = [others] * count
    results[index] = _failed(cause)
    return BatchFailed(message, results)
