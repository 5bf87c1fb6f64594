"""Many operations in one request: one decode, one pass, one encode."""

import re
from http import HTTPStatus
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from handler.errors import BatchFailed, KVError, ResponseTooLarge
from handler.keys import check_key
from handler.model import (
    MAX_PAGE_BYTES,
    Record,
    RecordState,
    TimeToLive,
    Whole64,
    check_value,
    json_bound,
)
from handler.preconditions import if_match
from handler.store import Etags, Store


class _Operation(msgspec.Struct, tag_field="op", forbid_unknown_fields=True):
    """One verb on one key: ``run`` checks it and does it, with the verb's own errors."""

    answers_value: ClassVar[bool] = True

    key: str


class Set(_Operation, tag="set"):
    answers_value = False

    value: msgspec.Raw
    ttl: TimeToLive | None = None

    def run(self, store: Store) -> Record:
        return store.set(check_key(self.key), check_value(self.value), ttl=self.ttl)


class Get(_Operation, tag="get"):
    def run(self, store: Store) -> Record:
        return store.get(check_key(self.key))


class Put(_Operation, tag="put"):
    answers_value = False

    value: msgspec.Raw
    ttl: TimeToLive | None | UnsetType = UNSET
    if_match: str | None = None
    create: bool = False

    def run(self, store: Store) -> Record:
        return store.put(
            check_key(self.key),
            check_value(self.value),
            ttl=self.ttl,
            if_match=_etags(self.if_match),
            create=self.create,
        )


class Del(_Operation, tag="del"):
    if_match: str | None = None

    def run(self, store: Store) -> None:
        store.delete(check_key(self.key), if_match=_etags(self.if_match))


class Incr(_Operation, tag="incr"):
    answers_value = False

    by: Whole64 = 1

    def run(self, store: Store) -> Record:
        return store.increment(check_key(self.key), self.by)


class Subs(_Operation, tag="subs"):
    def run(self, store: Store) -> Record:
        return store.subscribe(check_key(self.key))


class Unsubs(_Operation, tag="unsubs"):
    def run(self, store: Store) -> None:
        store.unsubscribe(check_key(self.key))


Operation = Set | Get | Put | Del | Incr | Subs | Unsubs


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    operations: Annotated[list[Operation], Meta(max_length=1000)]
    atomic: bool = False


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


def _etags(text: str | None) -> Etags | None:
    """Return what ``if_match`` names: a record's ``etag`` as it stands there, or as If-Match has it."""
    plain = text is not None and re.fullmatch(r"[\w-]+", text)
    return if_match(f'"{text}"' if plain else text)
