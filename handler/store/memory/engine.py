"""The memory engine: records in a sorted dict, for as long as the process lives."""

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from handler import __version__
from handler.cursor import Cursors
from handler.errors import KVError, StoreFull
from handler.model import (
    ZERO,
    Change,
    Page,
    Record,
    Status,
    expiry,
    time_text,
    utc_now,
    weigh_in,
)
from handler.operations import Operation, attempt
from handler.preconditions import Etags, matches
from handler.store.memory.feed import Feed
from handler.store.memory.records import Records
from handler.store.refusals import (
    counter_at_its_end,
    key_exists,
    no_counter,
    no_key,
    no_state,
    not_subscribed,
    other_state,
)

if TYPE_CHECKING:
    from handler.notify import Topic

# Enough for the sweep to outrun the writes that make records expire, too little to be felt.
_SWEPT_WITH_EACH_WRITE = 8
# What changes may keep of values that have since been overwritten is memory beside the records'.
_FEED_SHARE = 8


class MemoryStore:
    """Holds every record in this process.

    Args:
        max_bytes: What keys and values together may come to.
        clock: Where the time comes from; read once for each operation.
        topic: Where changes are published, within the request; None for nowhere.
    """

    engine = "memory"

    def __init__(
        self,
        max_bytes: int,
        clock: Callable[[], datetime] = utc_now,
        topic: "Topic | None" = None,
    ) -> None:
        self.instance = secrets.token_hex(8)
        self._clock = clock
        self._started_at = time_text(clock())
        self._max_bytes = max_bytes
        self._topic = topic
        self._writes = 0
        self._records = Records()
        self._feed = Feed(max_bytes // _FEED_SHARE)
        self._cursors = Cursors(secrets.token_bytes(16))
        self._unannounced: list[Change] | None = None

    def set(
        self, key: str, value: msgspec.Raw, *, ttl: int | None = None, token: str | None = None
    ) -> Record:
        now = self._clock()
        record = self._find(key, now)
        if record is None:
            return self._write(None, key, value, expiry(now, ttl, None), now, token)
        if self._repeats(key, token):
            return record
        raise key_exists(key)

    def get(self, key: str) -> Record:
        return self._existing(key, self._clock())

    def warm(self, key: str, max_age: int) -> None:
        """A read is as fast as a copy would be, so there are none."""

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
        now = self._clock()
        record = self._find(key, now)
        if record is None and not create:
            raise no_key(key)
        if record is not None and self._repeats(key, token):
            return record
        _check_match(key, record, if_match)
        expires_at = expiry(now, ttl, record.expires_at if record else None)
        return self._write(record, key, value, expires_at, now, token)

    def increment(self, key: str, by: int, *, token: str | None = None) -> Record:
        now = self._clock()
        record = self._find(key, now)
        if record is not None and self._repeats(key, token):
            return record
        number = _whole_number(key, record.value if record else ZERO) + by
        if not -(2**63) <= number < 2**63:
            raise counter_at_its_end(key)
        value = msgspec.Raw(b"%d" % number)
        return self._write(record, key, value, record.expires_at if record else None, now, token)

    def delete(self, key: str, *, if_match: Etags | None = None) -> None:
        now = self._clock()
        record = self._existing(key, now)
        _check_match(key, record, if_match)
        self._records.replace(key, None)
        if record.subscribed:
            at = time_text(now)
            # An ETag of its own, so that nobody takes it for the put before it come twice.
            self._announce(Change.deletion(key, record.version, self._new_etag(), at))

    def page(self, prefix: str, limit: int, cursor: str | None) -> Page[Record]:
        listing = f"keys {prefix}"
        after = None if cursor is None else self._cursors.open(listing, cursor)
        now = time_text(self._clock())
        found = list(islice(self._records.after(prefix, after, now), limit + 1))
        items = found[: min(weigh_in(found), limit)]
        return Page(items, self._next(listing, items[-1].key if len(items) < len(found) else None))

    def subscribe(self, key: str) -> Record:
        return self._flag(self._existing(key, self._clock()), subscribed=True)

    def unsubscribe(self, key: str) -> None:
        record = self._existing(key, self._clock())
        if not record.subscribed:
            raise not_subscribed(key)
        self._flag(record, subscribed=False)

    def subscriptions(self, limit: int, cursor: str | None) -> Page[str]:
        listing = "subscriptions"
        after = None if cursor is None else self._cursors.open(listing, cursor)
        now = time_text(self._clock())
        found = list(islice(self._records.subscribed_after(after, now), limit + 1))
        items = found[:limit]
        return Page(items, self._next(listing, items[-1] if len(items) < len(found) else None))

    def changes(self, since: str | None, limit: int) -> tuple[list[Change], str]:
        listing = "changes"
        if since is None:
            return [], self._cursors.seal(listing, str(self._feed.position))
        position = int(self._cursors.open(listing, since))
        now = self._clock()
        newer = self._feed.since(position)[:limit]
        changes = [self._latest(change, now) for _, change in newer]
        changes = changes[: weigh_in(changes)]
        if changes:
            position = newer[len(changes) - 1][0]
        return changes, self._cursors.seal(listing, str(position))

    def batch(
        self, operations: Sequence[Operation], *, atomic: bool
    ) -> list[Record | None | KVError]:
        if not atomic:
            with self._announced_together():
                return [attempt(operation, self) for operation in operations]
        results: list[Record | None | KVError] = []
        try:
            with self._all_or_nothing():
                results.extend(operation.run(self) for operation in operations)
        except KVError as error:
            results.append(error)
        return results

    def status(self) -> Status:
        self._records.sweep(time_text(self._clock()))
        return Status(
            engine=self.engine,
            instance=self.instance,
            started_at=self._started_at,
            version=__version__,
            keys=len(self._records),
            bytes=self._records.bytes,
            max_bytes=self._max_bytes,
            subscriptions=self._records.subscriptions,
            topic=self._topic.arn if self._topic else None,
        )

    def _find(self, key: str, now: datetime) -> Record | None:
        return self._records.find(key, time_text(now))

    def _existing(self, key: str, now: datetime) -> Record:
        record = self._find(key, now)
        if record is None:
            raise no_key(key)
        return record

    def _repeats(self, key: str, token: str | None) -> bool:
        """Tell whether the record's last write carried this token."""
        return token is not None and self._records.token(key) == token

    def _write(  # noqa: PLR0917 (its callers differ in each of these)
        self,
        old: Record | None,
        key: str,
        value: msgspec.Raw,
        expires_at: str | None,
        now: datetime,
        token: str | None,
    ) -> Record:
        at = time_text(now)
        record = Record(
            key=key,
            value=value,
            version=old.version + 1 if old else 1,
            etag=self._new_etag(),
            created_at=old.created_at if old else at,
            updated_at=at,
            expires_at=expires_at,
            subscribed=old is not None and old.subscribed,
        )
        self._records.sweep(at, _SWEPT_WITH_EACH_WRITE)
        self._make_room(record.size - (old.size if old else 0), at)
        self._records.replace(key, record, token)
        if record.subscribed:
            self._announce(Change.put(record))
        return record

    def _new_etag(self) -> str:
        """Return an ETag that no write had, in this instance or another."""
        self._writes += 1
        return f"{self.instance}-{self._writes:x}"

    def _make_room(self, growth: int, now: str) -> None:
        if growth > 0 and self._records.bytes + growth > self._max_bytes:
            self._records.sweep(now)
            if self._records.bytes + growth > self._max_bytes:
                raise StoreFull(
                    f"the store holds {self._records.bytes} of {self._max_bytes} bytes, and this "
                    f"write needs {growth} more: delete something, or raise KV_MAX_BYTES"
                )

    def _flag(self, record: Record, *, subscribed: bool) -> Record:
        flagged = msgspec.structs.replace(record, subscribed=subscribed)
        self._records.replace(record.key, flagged, self._records.token(record.key))
        return flagged

    def _latest(self, change: Change, now: datetime) -> Change:
        """Return the state of now, where the key is subscribed, and else the change as it was."""
        record = self._find(change.key, now)
        return Change.put(record) if record is not None and record.subscribed else change

    def _announce(self, *changes: Change) -> None:
        if self._unannounced is not None:
            self._unannounced.extend(changes)
            return
        for change in changes:
            self._feed.add(change)
        if self._topic and changes:
            # What could not be published is the topic's to report: the write has been done.
            self._topic.publish(changes)

    @contextmanager
    def _announced_together(self) -> Iterator[None]:
        """Announce the changes of the block at its end, however it ends."""
        changes = self._unannounced = []
        try:
            yield
        finally:
            self._unannounced = None
            self._announce(*changes)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Undo what was written, and announce nothing, if the block fails."""
        changes = self._unannounced = []
        try:
            with self._records.undone_on_error():
                yield
        finally:
            self._unannounced = None
        self._announce(*changes)

    def _next(self, listing: str, last_key: str | None) -> str | None:
        return None if last_key is None else self._cursors.seal(listing, last_key)


def _check_match(key: str, record: Record | None, if_match: Etags | None) -> None:
    if if_match is None:
        return
    if record is None:
        raise no_state(key)
    if not matches(if_match, record.etag):
        raise other_state(key, record.version)


def _whole_number(key: str, value: msgspec.Raw) -> int:
    text = bytes(value)
    if not re.fullmatch(rb"-?[0-9]{1,19}", text):
        raise no_counter(key)
    return int(text)
