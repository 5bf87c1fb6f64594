"""Batches that are not atomic: the operations in their order, and reads together."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from handler.errors import EngineUnavailable, KeyNotFound, KVError, ResponseTooLarge
from handler.keys import check_key
from handler.model import MAX_PAGE_BYTES, Record, json_bound, time_text
from handler.operations import Get, Operation, attempt
from handler.store import Store
from handler.store.dynamodb.items import is_live, record_of
from handler.store.dynamodb.table import MOST_KEYS, Table

if TYPE_CHECKING:
    from handler.store.dynamodb.items import Item

    Results = list[Record | None | KVError]

# Seconds that a batch may take: under the function's timeout of 29, like a single verb.
_BUDGET = 24.0
_TOO_MUCH = ResponseTooLarge("this record did not fit; ask for it alone")


def run_in_turn(
    operations: Sequence[Operation], store: Store, table: Table, clock: Callable[[], datetime]
) -> "Results":
    """Run the operations; once DynamoDB is out of reach, the rest is not tried."""
    results: Results = []
    room = MAX_PAGE_BYTES
    with table.within(_BUDGET):
        for group in _groups(operations):
            if _is_get(group[0]):
                # More than an answer carries is not read at all: it would only fill the memory.
                some: Results = [_TOO_MUCH] * len(group)
                if room > 0:
                    some = _get_all(group, table, clock)
                room -= sum(
                    json_bound(each.key, each.value) for each in some if isinstance(each, Record)
                )
                results += some
            else:
                results.append(attempt(group[0], store))
            if isinstance(results[-1], EngineUnavailable):
                break
    not_tried = EngineUnavailable("not tried: DynamoDB is throttled or out of reach for now")
    return results + [not_tried] * (len(operations) - len(results))


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
        return [error] * len(gets)
    return [_answer(key, items.get(key), now) if isinstance(key, str) else key for key in checked]


def _checked(key: str) -> str | KVError:
    try:
        return check_key(key)
    except KVError as error:
        return error


def _answer(key: str, item: "Item | None", now: str) -> Record | KVError:
    if item is not None and is_live(item, now):
        return record_of(item)
    return KeyNotFound(f"there is no key {key!r}")
