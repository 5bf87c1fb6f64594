"""What the store holds and answers with: records, changes, pages; rules for values and times."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from handler.errors import ValueTooLarge

MAX_VALUE_BYTES = 384 * 1024
MAX_PAGE_BYTES = 4 * 1024 * 1024
# What a counter begins at.
ZERO = msgspec.Raw(b"0")
# The longest field names, times and numbers of a record or a change come to less than this.
_FRAME_BYTES = 400

TimeToLive = Annotated[int, Meta(ge=1, le=315_360_000)]
Whole64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

Item = TypeVar("Item")


class Page(NamedTuple, Generic[Item]):
    """A part of a listing, and the cursor of the part that follows (None on the last)."""

    items: list[Item]
    cursor: str | None


class Record(msgspec.Struct, frozen=True, gc=False):
    """A key with its value and state; the fields and their order are the contract's.

    Times are RFC 3339 in UTC with milliseconds: of one width, so they order as text does.
    """

    key: str
    value: msgspec.Raw
    version: int
    etag: str
    created_at: str
    updated_at: str
    expires_at: str | None
    subscribed: bool

    @property
    def size(self) -> int:
        """Bytes that count against the memory engine's ``max_bytes``."""
        return len(self.key.encode()) + len(memoryview(self.value))

    def expired(self, now: str) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class RecordState(msgspec.Struct, frozen=True, gc=False):
    """A record without its value: what a batch answers to set, put and incr."""

    key: str
    version: int
    etag: str
    created_at: str
    updated_at: str
    expires_at: str | None
    subscribed: bool

    @classmethod
    def of(cls, record: Record) -> "RecordState":
        return cls(
            record.key,
            record.version,
            record.etag,
            record.created_at,
            record.updated_at,
            record.expires_at,
            record.subscribed,
        )


class Change(msgspec.Struct, frozen=True, gc=False):
    """A write of a subscribed key, as its watchers are told of it."""

    key: str
    op: Literal["put", "del"]
    version: int
    etag: str
    value: msgspec.Raw
    at: str

    @classmethod
    def put(cls, record: Record) -> "Change":
        """Return the change that made a record what it is."""
        return cls(record.key, "put", record.version, record.etag, record.value, record.updated_at)

    @classmethod
    def deletion(cls, key: str, version: int, etag: str, at: str) -> "Change":
        """Return the change that deleted the record of that version."""
        return cls(key, "del", version, etag, msgspec.Raw(b"null"), at)


class Status(msgspec.Struct, frozen=True):
    """The state of a store; None where its engine does not know."""

    engine: str
    instance: str | None
    started_at: str
    version: str
    keys: int | None
    bytes: int | None
    max_bytes: int | None
    subscriptions: int | None
    topic: str | None


def check_value(value: msgspec.Raw) -> msgspec.Raw:
    """Return ``value`` in memory of its own, apart from the request that it came in.

    Raises:
        ValueTooLarge: Its JSON text is longer than 384 KiB in UTF-8.
    """
    if (size := len(memoryview(value))) > MAX_VALUE_BYTES:
        raise ValueTooLarge(
            f"a value is at most {MAX_VALUE_BYTES} bytes of JSON; this one has {size}"
        )
    return value.copy()


def json_bound(key: str, value: msgspec.Raw | bytes = b"") -> int:
    """Return a number of bytes that the JSON text of a record or a change does not pass.

    A key's character takes at most twice its bytes there, since those that JSON writes longer
    are none that a key may hold.
    """
    return _FRAME_BYTES + 2 * len(key.encode()) + len(memoryview(value))


def utc_now() -> datetime:
    """Return the time, as the stores' clocks do."""
    return datetime.now(UTC)


def time_text(moment: datetime) -> str:
    """Return a moment in UTC as the contract writes times: ``2026-11-24T20:55:43.123Z``."""
    return moment.isoformat(timespec="milliseconds")[: len("2026-11-24T20:55:43.123")] + "Z"


def expiry(now: datetime, ttl: int | None | UnsetType, current: str | None) -> str | None:
    """Return when a record written now expires.

    Args:
        now: The time of the write.
        ttl: Seconds to live; None for ever; unset to leave the expiry as it is.
        current: The expiry so far.
    """
    if ttl is UNSET:
        return current
    return None if ttl is None else time_text(now + timedelta(seconds=ttl))


def weigh_in(items: list[Any]) -> int:
    """Return how many of the items, from the first on, an answer of 4 MiB has room for."""
    total = 0
    for count, item in enumerate(items):
        total += json_bound(item.key, item.value)
        if total > MAX_PAGE_BYTES:
            return count
    return len(items)
