"""Warm copies: records that this environment read or wrote lately, for reads that may be older."""

from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple

from handler.model import Record, time_text

_MAX_ENTRIES = 1000
_MAX_BYTES = 16 * 1024 * 1024


class _Copy(NamedTuple):
    record: Record
    taken_at: datetime


class WarmCopies:
    """The records used last, bounded in number and bytes.

    Args:
        max_entries: How many records it may hold.
        max_bytes: What their keys and values may come to.
    """

    def __init__(self, max_entries: int = _MAX_ENTRIES, max_bytes: int = _MAX_BYTES) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self._copies: OrderedDict[str, _Copy] = OrderedDict()

    def keep(self, record: Record, taken_at: datetime) -> None:
        self.drop(record.key)
        self._copies[record.key] = _Copy(record, taken_at)
        self._bytes += record.size
        while len(self._copies) > self._max_entries or self._bytes > self._max_bytes:
            self.drop(next(iter(self._copies)))

    def drop(self, key: str) -> None:
        if copy := self._copies.pop(key, None):
            self._bytes -= copy.record.size

    def find(self, key: str, max_age: int, now: datetime) -> tuple[Record, int] | None:
        """Return a record and its age in whole seconds, where a copy is young enough."""
        copy = self._copies.get(key)
        if copy is None or copy.record.expired(time_text(now)):
            return None
        age = (now - copy.taken_at).total_seconds()
        if not 0 <= age <= max_age:
            return None
        self._copies.move_to_end(key)
        return copy.record, int(age)
