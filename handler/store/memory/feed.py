"""The memory engine's changes feed: the latest change of each key, bounded."""

from handler.errors import InvalidCursor
from handler.model import Change

_MAX_CHANGES = 10_000


class Feed:
    """Numbers changes and keeps the last one of each key, oldest first.

    A put's value is the record's own bytes, so the bound on bytes is reached only by values
    that were since overwritten or expired.

    Args:
        max_bytes: What the values of the changes may come to; the latest change always stays.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._forgotten = 0
        self.position = 0
        self._changes: dict[str, tuple[int, Change]] = {}

    def add(self, change: Change) -> None:
        """Take in a change; the key's earlier one is merged into it."""
        self._remove(change.key)
        self.position += 1
        self._changes[change.key] = (self.position, change)
        self._bytes += len(memoryview(change.value))
        while self._full():
            oldest = next(iter(self._changes))
            self._forgotten = self._remove(oldest)

    def since(self, position: int) -> list[tuple[int, Change]]:
        """Return the changes after a position, oldest first, each with its own.

        Raises:
            InvalidCursor: A change after that position is no longer kept.
        """
        if position < self._forgotten:
            raise InvalidCursor("this cursor is too old: changes after it are no longer kept")
        newer = []
        for numbered in reversed(self._changes.values()):
            if numbered[0] <= position:
                break
            newer.append(numbered)
        newer.reverse()
        return newer

    def _full(self) -> bool:
        count = len(self._changes)
        return count > _MAX_CHANGES or (self._bytes > self._max_bytes and count > 1)

    def _remove(self, key: str) -> int:
        position, change = self._changes.pop(key, (0, None))
        if change is not None:
            self._bytes -= len(memoryview(change.value))
        return position
