"""The DynamoDB engine: the same verbs, durable, across any number of environments.

Each verb is one request that reads and writes at once; only where its condition fails is the state
looked at, and at times another write sent.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

from handler import __version__
from handler.cursor import Cursors
from handler.errors import EngineUnavailable, KVError
from handler.jsontext import is_utf8
from handler.keys import MAX_KEY_BYTES
from handler.model import (
    MAX_PAGE_BYTES,
    Change,
    Page,
    Record,
    Status,
    json_bound,
    time_text,
    utc_now,
)
from handler.operations import Operation, attempt
from handler.preconditions import Etags
from handler.store.dynamodb.in_turn import run_in_turn
from handler.store.dynamodb.items import is_live, record_of
from handler.store.dynamodb.listing import merged
from handler.store.dynamodb.table import NOT_KNOWN, ConditionFailed, OutcomeUnknown, Table
from handler.store.dynamodb.transaction import run_atomic
from handler.store.dynamodb.value_verbs import Increment, Put, Set
from handler.store.dynamodb.verbs import Delete, Get, Step, Subscribe, Unsubscribe, Verb
from handler.store.dynamodb.warm import WarmCopies
from handler.store.dynamodb.watching import changes_since, now_cursor, subscribed_keys
from handler.store.dynamodb.writes import UNEXPIRED
from handler.store.refusals import no_key

if TYPE_CHECKING:
    from handler.store.dynamodb.items import Item

# Each round was lost to another write, so this many in a row mean a key that is hot beyond reason.
_ROUNDS = 10
# A write is under way for less, and clocks differ by less.
_UNDER_WAY = timedelta(seconds=15)

Listed = TypeVar("Listed")


class DynamoStore:
    """Holds every record in one DynamoDB table.

    Args:
        table: The table.
        topic: The SNS topic that changes are published to, for ``status``.
        clock: Where the time comes from; read once for each operation.
    """

    engine = "dynamodb"
    instance = ""

    def __init__(
        self, table: Table, topic: str | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._table = table
        self._topic = topic
        self._clock = clock
        self._started_at = time_text(clock())
        self._warm = WarmCopies()

    def set(
        self, key: str, value: msgspec.Raw, *, ttl: int | None = None, token: str | None = None
    ) -> Record:
        return self._record(Set(key, *self._stamp(), value, ttl, token))

    def get(self, key: str) -> Record:
        self._table.begin()
        now = self._clock()
        record = _existing(key, self._table.read(key), now)
        self._warm.keep(record, now)
        return record

    def warm(self, key: str, max_age: int) -> tuple[Record, int] | None:
        return self._warm.find(key, max_age, self._clock())

    def put(
        self,
        key: str,
        value: msgspec.Raw,
        *,
        ttl: int | None | UnsetType = UNSET,
        if_match: Etags | None = None,
        create: bool = False,
        token: str | None = None,
    ) -> Record:
        return self._record(Put(key, *self._stamp(), value, ttl, if_match, create, token))

    def increment(self, key: str, by: int, *, token: str | None = None) -> Record:
        return self._record(Increment(key, *self._stamp(), by, token))

    def delete(self, key: str, *, if_match: Etags | None = None) -> None:
        self._do(Delete(key, *self._stamp(), if_match))

    def page(self, prefix: str, limit: int, cursor: str | None) -> Page[Record]:
        self._table.begin()
        listing = f"keys {prefix}"
        after = None if cursor is None else self._cursors.open(listing, cursor)
        if not is_utf8(prefix) or len(prefix.encode()) > MAX_KEY_BYTES:
            # No key begins so, and DynamoDB would refuse the question.
            return Page([], None)
        named: Item = {":prefix": {"S": prefix}} if prefix else {}
        items = merged(
            self._table,
            "pk = :shard AND begins_with(sk, :prefix)" if prefix else "pk = :shard",
            "sk",
            limit + 1,
            # A Query starts after any key, be there an item or not.
            start=lambda shard: None if after is None else {"pk": {"S": shard}, "sk": {"S": after}},
            FilterExpression=UNEXPIRED,
            ExpressionAttributeValues={":now": {"S": time_text(self._clock())}, **named},
            ConsistentRead=True,
        )
        found, more = _fill(map(record_of, items), limit, _size)
        return Page(found, self._cursors.seal(listing, found[-1].key) if more else None)

    def subscribe(self, key: str) -> Record:
        return self._record(Subscribe(key, *self._stamp()))

    def unsubscribe(self, key: str) -> None:
        self._do(Unsubscribe(key, *self._stamp()))

    def subscriptions(self, limit: int, cursor: str | None) -> Page[str]:
        self._table.begin()
        listing = "subscriptions"
        after = None if cursor is None else self._cursors.open(listing, cursor)
        now = time_text(self._clock())
        keys, more = _fill(subscribed_keys(self._table, after, now, limit + 1), limit, len)
        return Page(keys, self._cursors.seal(listing, keys[-1]) if more else None)

    def changes(self, since: str | None, limit: int) -> tuple[list[Change], str]:
        self._table.begin()
        now = self._clock()
        if since is None:
            return [], now_cursor(self._table, self._cursors, now)
        return changes_since(self._table, self._cursors, since, limit, now)

    def batch(
        self, operations: Sequence[Operation], *, atomic: bool
    ) -> list[Record | None | KVError]:
        if atomic:
            plan = _Plan(self._table, self._topic, self._clock)
            self._table.begin()
            verbs = [plan.take_down(operation) for operation in operations]
            for verb in verbs:
                if isinstance(verb, Verb):
                    self._warm.drop(verb.key)
            return run_atomic(self._table, verbs)
        return run_in_turn(operations, self, self._table, self._clock)

    def status(self) -> Status:
        return Status(
            engine=self.engine,
            instance=None,
            started_at=self._started_at,
            version=__version__,
            keys=None,
            bytes=None,
            max_bytes=None,
            subscriptions=None,
            topic=self._topic,
        )

    @property
    def _cursors(self) -> Cursors:
        """All environments share the table, and so the cursors."""
        return Cursors(blake2b(self._table.identity.encode(), digest_size=32).digest())

    def _stamp(self) -> tuple[datetime, str]:
        """Begin a verb: return its time, and an ETag that no other write has."""
        self._table.begin()
        return self._clock(), secrets.token_hex(8)

    def _record(self, verb: Verb) -> Record:
        return cast("Record", self._do(verb))

    def _do(self, verb: Verb) -> Record | None:
        self._warm.drop(verb.key)
        answer = self._written(verb)
        if answer is not None:
            self._warm.keep(answer, verb.moment)
        return answer

    def _written(self, verb: Verb) -> Record | None:
        write = verb.guess()
        unsure = False
        try:
            for _ in range(_ROUNDS):
                try:
                    return verb.answer(self._table.update(write))
                except ConditionFailed as failed:
                    item = failed.item
                except OutcomeUnknown:
                    unsure = True
                    item = self._table.read(verb.key)
                step = _step(verb, item, unsure=unsure)
                if step.write is None:
                    return step.answer
                write = step.write.only_on(item) if unsure else step.write
        except EngineUnavailable as error:
            if not unsure:
                raise
            # Whatever it was, to send this again may be to do it twice.
            raise EngineUnavailable(NOT_KNOWN) from error
        others = f"others keep writing {verb.key!r}; try again"
        raise EngineUnavailable(NOT_KNOWN if unsure else others)


class _Plan(DynamoStore):
    """Takes down what an operation would do, instead of doing it."""

    def take_down(self, operation: Operation) -> Verb | KVError:
        error = attempt(operation, self)
        return error if isinstance(error, KVError) else self._taken

    def get(self, key: str) -> Record:
        return self._record(Get(key, *self._stamp()))

    def _do(self, verb: Verb) -> None:
        self._taken = verb


def _step(verb: Verb, item: "Item | None", *, unsure: bool) -> Step:
    """Return what a verb does next, given the state that stopped it.

    Args:
        verb: The verb.
        item: The state.
        unsure: An earlier write may have been done; the state may be that of a write after it.
    """
    if item is not None and (item["etag"]["S"] == verb.etag or (unsure and verb.wrote(item))):
        return Step(None, verb.answer(item))
    if unsure and item and item["updated_at"]["S"] > time_text(verb.moment - _UNDER_WAY):
        raise EngineUnavailable(NOT_KNOWN)
    return verb.given(item)


def _existing(key: str, item: "Item | None", now: datetime) -> Record:
    if item is None or not is_live(item, time_text(now)):
        raise no_key(key)
    return record_of(item)


def _size(record: Record) -> int:
    return json_bound(record.key, record.value)


def _fill(
    found: "Iterator[Listed]", limit: int, size: "Callable[[Listed], int]"
) -> "tuple[list[Listed], bool]":
    """Return as many as a page has room for, and whether there are more."""
    items: list[Listed] = []
    room = MAX_PAGE_BYTES
    for item in found:
        room -= size(item)
        if len(items) == limit or room < 0:
            return items, True
        items.append(item)
    return items, False
