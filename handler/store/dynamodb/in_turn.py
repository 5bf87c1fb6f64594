"""Batches that are not atomic: the operations in their order, and reads together."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from handler.errors import EngineUnavailable, KVError
from handler.keys import check_key
from handler.model import MAX_PAGE_BYTES, Record, json_bound, time_text
from handler.operations import Get, Operation, attempt
from handler.store import Store
from handler.store.dynamodb.items import is_live, record_of
from handler.store.dynamodb.table import MOST_KEYS, Table
from handler.store.refusals import no_key, no_room_in_answer

if TYPE_CHECKING:
    from handler.store.dynamodb.items import Item

    Results = list[Record | None | KVError]

# Seconds that a batch may take: under the function's timeout of 29, like a single verb.
_BUDGET = 24.0
_TOO_MUCH = no_room_in_answer()


def run_in_turn(
    operations: Sequence[Operation], store: Store, table: Table, clock: Callable[[], datetime]
) -> "Results":
    """Run the operations; once DynamoDB is out of reach, the rest is checked, but not tried.

    They could run side by side where their keys differ, and take less time. But then another caller
    could see what a later one wrote without what the ones before it did, or a failure leave it so.
    """
    results: Results = []
    room = MAX_PAGE_BYTES
    with table.within(_BUDGET):
        for group in _groups(operations):
            if _is_get(group[0]):
                some = _get_all(group, table, clock)
            else:
                some = [attempt(group[0], store)]
            for size, result in zip(map(_size, group, some), some, strict=True):
                # What the answer has no room for would only fill the memory.
                results.append(result if size <= room else _TOO_MUCH)
                room -= size if size <= room else 0
                if isinstance(result, EngineUnavailable):
                    table.give_up(f"not tried, as one before it failed with '{result.message}'")
    return results


def _size(operation: Operation, result: Record | None | KVError) -> int:
    """Return how much of the answer the value of a result takes."""
    if operation.answers_value and isinstance(result, Record):
        return json_bound(result.key, result.value)
    return 0


def _is_get(operation: Operation) -> bool:
    return isinstance(operation, Get)


def _groups(operations: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    """Yield gets that follow each other together, up to one request's worth, and others alone."""
    for are_gets, run in groupby(operations, key=_is_get):
        some = list(run)
        step = MOST_KEYS if are_gets else 1
        yield from (some[start : start + step] for start in range(0, len(some), step))


def _get_all(gets: Sequence[Operation], table: Table, clock: Callable[[], datetime]) -> "Results":
    """Answer gets from as few requests as DynamoDB allows."""
    checked = [_checked(get.key) for get in gets]
    try:
        table.begin()
        now = time_text(clock())
        found = table.read_many([key for key in checked if isinstance(key, str)])
        items = {item["sk"]["S"]: item for item in found}
    except EngineUnavailable as error:
        return [error if isinstance(key, str) else key for key in checked]
    return [_answer(key, items.get(key), now) if isinstance(key, str) else key for key in checked]


def _checked(key: str) -> str | KVError:
    try:
        return check_key(key)
    except KVError as error:
        return error


def _answer(key: str, item: "Item | None", now: str) -> Record | KVError:
    if item is not None and is_live(item, now):
        return record_of(item)
    return no_key(key)
