"""The memory engine's records, and the indexes that go with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sortedcontainers import SortedDict, SortedSet

from handler.model import Record


class _Before(NamedTuple):
    """What a key held before it was written to."""

    key: str
    record: Record | None
    token: str | None


class Records:
    """Records by key, in order; kept in step with them: who is subscribed, what expires when.

    Times are text, as records have them.

    Attributes:
        bytes: What keys and values come to.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._by_key: SortedDict[str, Record] = SortedDict()
        self._subscribed: SortedSet[str] = SortedSet()
        self._expiries: SortedSet[tuple[str, str]] = SortedSet()
        self._tokens: dict[str, str] = {}
        self._journal: list[_Before] | None = None

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def subscriptions(self) -> int:
        """How many keys are subscribed."""
        return len(self._subscribed)

    def find(self, key: str, now: str) -> Record | None:
        """Return the record if it is there and has not expired; drop it if it has."""
        record = self._by_key.get(key)
        if record is not None and record.expired(now):
            self.replace(key, None)
            return None
        return record

    def token(self, key: str) -> str | None:
        """Return the token that the record's last write carried."""
        return self._tokens.get(key)

    def after(self, prefix: str, key: str | None, now: str) -> Iterator[Record]:
        """Yield the records whose keys begin with ``prefix`` and come after ``key``, in order.

        Python orders text by code points, which is the order of its UTF-8 bytes.
        """
        for found in _from(self._by_key, prefix, key):
            if not found.startswith(prefix):
                return
            if not self._by_key[found].expired(now):
                yield self._by_key[found]

    def subscribed_after(self, key: str | None, now: str) -> Iterator[str]:
        """Yield the subscribed keys that come after ``key``, in order."""
        return (
            found
            for found in _from(self._subscribed, "", key)
            if not self._by_key[found].expired(now)
        )

    def sweep(self, now: str, at_most: int | None = None) -> None:
        """Drop records that have expired, the earliest first."""
        count = len(self._expiries) if at_most is None else at_most
        for _ in range(count):
            if not self._expiries or self._expiries[0][0] > now:
                return
            self.replace(self._expiries[0][1], None)

    def replace(self, key: str, record: Record | None, token: str | None = None) -> None:
        """Put a record in the place of the key's old one, or drop that: every write ends here."""
        old = self._by_key.get(key)
        if self._journal is not None:
            self._journal.append(_Before(key, old, self._tokens.get(key)))
        if record is not None:
            self._by_key[key] = record
        elif old is not None:
            del self._by_key[key]
        if token is not None:
            self._tokens[key] = token
        else:
            self._tokens.pop(key, None)
        self.bytes += (record.size if record else 0) - (old.size if old else 0)
        self._reindex(key, old, record)

    def _reindex(self, key: str, old: Record | None, new: Record | None) -> None:
        was_subscribed = old is not None and old.subscribed
        is_subscribed = new is not None and new.subscribed
        if is_subscribed and not was_subscribed:
            self._subscribed.add(key)
        elif was_subscribed and not is_subscribed:
            self._subscribed.remove(key)
        old_expiry = old.expires_at if old else None
        new_expiry = new.expires_at if new else None
        if new_expiry != old_expiry:
            if old_expiry is not None:
                self._expiries.remove((old_expiry, key))
            if new_expiry is not None:
                self._expiries.add((new_expiry, key))

    @contextmanager
    def undone_on_error(self) -> Iterator[None]:
        """Take back every write of the block, if it raises."""
        journal = self._journal = []
        try:
            yield
        except BaseException:
            self._journal = None
            for before in reversed(journal):
                self.replace(*before)
            raise
        finally:
            self._journal = None


def _from(
    index: "SortedDict[str, Record] | SortedSet[str]", first: str, after: str | None
) -> Iterator[str]:
    if after is None:
        return index.irange(first)
    return index.irange(after, inclusive=(False, False))
