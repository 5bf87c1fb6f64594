"""Atomic batches: all the writes in one TransactWriteItems, on the very state that was read."""

import secrets
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from handler.errors import InvalidRequest, KVError, RequestTooLarge
from handler.model import Record
from handler.store.dynamodb.items import is_deleted, primary_key, record_of, text_of
from handler.store.dynamodb.table import Table, TransactionRefused
from handler.store.dynamodb.verbs import Step, Verb
from handler.store.dynamodb.writes import unchanged

if TYPE_CHECKING:
    from handler.store.dynamodb.items import Item

# What DynamoDB takes in one transaction.
_MOST_OPERATIONS = 100
_MOST_BYTES = 4 * 1024 * 1024
# The attributes of an item without its key and value come to less.
_FRAME_BYTES = 500


def run_atomic(table: Table, verbs: Sequence[Verb | KVError]) -> list[Record | None | KVError]:
    """Do all the verbs or none; one that could not even be made is in the list as its error.

    A transaction returns no items, so they are read first, and written only as they were read.

    Returns:
        The answers; where one can't be, those before it, and its error.

    Raises:
        InvalidRequest, RequestTooLarge: DynamoDB takes no such transaction.
    """
    keys = [verb.key for verb in verbs if isinstance(verb, Verb)]
    if len(verbs) > _MOST_OPERATIONS:
        raise InvalidRequest(
            f"on dynamodb an atomic batch is at most {_MOST_OPERATIONS} operations"
        )
    if len(set(keys)) < len(keys):
        raise InvalidRequest("on dynamodb an atomic batch touches a key once")
    answers: list[Record | None | KVError] = []
    for attempt in count(1):
        items = {item["sk"]["S"]: item for item in table.read_many(keys)}
        if attempt > 1 and _is_done(verbs, items):
            return answers
        answers, steps = _steps(verbs, items)
        if len(steps) < len(verbs) or not verbs:
            return answers
        actions = [
            _action(key, items.get(key), step) for key, step in zip(keys, steps, strict=True)
        ]
        if sum(map(_size, keys, map(items.get, keys), steps)) > _MOST_BYTES:
            raise RequestTooLarge(f"on dynamodb an atomic batch is at most {_MOST_BYTES} bytes")
        try:
            table.transact(actions, secrets.token_hex(16))
        except TransactionRefused:
            table.pause(attempt)
        else:
            return answers
    raise AssertionError


def _steps(
    verbs: Sequence[Verb | KVError], items: "dict[str, Item]"
) -> tuple[list[Record | None | KVError], list[Step]]:
    """Return what to do for each verb, and its answer, up to the first that can't be."""
    answers: list[Record | None | KVError] = []
    steps: list[Step] = []
    for verb in verbs:
        try:
            if isinstance(verb, KVError):
                raise verb
            step = verb.given(items.get(verb.key))
        except KVError as error:
            answers.append(error)
            break
        steps.append(step)
        answers.append(step.answer)
    return answers, steps


def _action(key: str, item: "Item | None", step: Step) -> dict[str, Any]:
    if step.write is not None:
        return {"Update": step.write.only_on(item).arguments()}
    clause, values = unchanged(item)
    check = {"Key": primary_key(key), "ConditionExpression": clause}
    return {"ConditionCheck": {**check, "ExpressionAttributeValues": values}}


def _size(key: str, item: "Item | None", step: Step) -> int:
    """Return what a step adds to the transaction: the item before or after it, the larger one."""
    before = len(memoryview(record_of(item).value)) if item and not is_deleted(item) else 0
    after = len(memoryview(step.answer.value)) if step.answer else 0
    return _FRAME_BYTES + len(key.encode()) + max(before, after)


def _is_done(verbs: Sequence[Verb | KVError], items: "dict[str, Item]") -> bool:
    """Tell whether the transaction was done after all, and only its answer got lost."""
    return any(
        isinstance(verb, Verb) and text_of(items.get(verb.key, {}), "etag") == verb.etag
        for verb in verbs
    )
