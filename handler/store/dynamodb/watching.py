"""What watchers read: the subscribed keys and the changes feed, from two indexes of the table.

An index trails the table by a moment, writes take a moment to get there, and the clocks of two
environments differ. So a change may come to light after a later one. The feed's cursor therefore
has ``floor``, before which everything has come to light and was reported, and the marks of the
changes after it that were reported already. Nothing is passed over, and hardly anything is told
twice.

A cursor has room for so many marks. Where more changes than that come within half a minute, the
latest keep theirs; those before them, up to ``unmarked``, are told at once like any other, and once
more when all that belongs among them has come to light. To make them wait would stall the feed, and
to pass over them could lose the one that comes late.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from handler.cursor import Cursors
from handler.errors import InvalidCursor
from handler.model import MAX_PAGE_BYTES, Change, json_bound, time_text
from handler.store.dynamodb.items import (
    CHANGES_INDEX,
    KEPT,
    SUBSCRIPTIONS_INDEX,
    is_deleted,
    is_live,
    record_of,
)
from handler.store.dynamodb.listing import merged
from handler.store.dynamodb.table import MOST_KEYS, Table
from handler.store.dynamodb.writes import UNEXPIRED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handler.store.dynamodb.items import Item

# A write's 8 seconds, what clocks may differ by, and what an index may trail.
_COMES_TO_LIGHT = timedelta(seconds=30)
# Less than deleted records are kept, for clocks that differ.
_CURSOR_LIFE = KEPT - timedelta(hours=1)
# Of an ETag, enough that no two in half a minute are alike.
_MARK_BYTES = 6
_MARK_LENGTH = 8
# So the cursor stays under half of what a gateway takes as request line and header fields.
_MOST_MARKS = 400
_LISTING = "changes"


class _Row(NamedTuple):
    """A line of the feed: which key changed, and what ``changed`` says of it."""

    key: str
    changed: str

    @property
    def mark(self) -> str:
        """The change's mark: in hexadecimal, as ETags are, it would take half as much again."""
        etag = bytes.fromhex(self.changed.split(" ")[2])
        return urlsafe_b64encode(etag[:_MARK_BYTES]).decode()


class _Position(NamedTuple):
    """Where a watcher stands in the feed.

    Attributes:
        floor: Up to here all was told, and nothing more will come to light.
        unmarked: From there up to here all that had come to light was told, but has no marks.
        marks: What was told after both.
    """

    floor: str
    unmarked: str
    marks: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "_Position":
        floor, unmarked, marks = text.split("|")
        return cls(
            floor,
            unmarked,
            tuple(marks[at : at + _MARK_LENGTH] for at in range(0, len(marks), _MARK_LENGTH)),
        )

    @classmethod
    def after(
        cls, floor: str, unmarked: str, told: Sequence[_Row], others: Sequence[str] = ()
    ) -> "_Position":
        """Return the position that marks as much as it can.

        Args:
            floor: See above.
            unmarked: See above, as far as it had come to already.
            told: The rows to mark, oldest first.
            others: Marks of rows after them.
        """
        surplus = len(told) + len(others) - _MOST_MARKS
        if surplus > 0:
            unmarked = told[surplus - 1].changed
            told = told[surplus:]
        return cls(floor, max(floor, unmarked), (*(row.mark for row in told), *others))

    def __str__(self) -> str:
        return f"{self.floor}|{self.unmarked}|{''.join(self.marks)}"


def subscribed_keys(table: Table, after: str | None, now: str, wanted: int) -> "Iterator[str]":
    """Yield the subscribed keys after a key, in order."""
    named: Item = {} if after is None else {":after": {"S": after}}
    items = merged(
        table,
        "watched = :shard" if after is None else "watched = :shard AND sk > :after",
        "sk",
        wanted,
        IndexName=SUBSCRIPTIONS_INDEX,
        FilterExpression=UNEXPIRED,
        ExpressionAttributeValues={":now": {"S": now}, **named},
    )
    return (item["sk"]["S"] for item in items)


def now_cursor(table: Table, cursors: Cursors, now: datetime) -> str:
    """Return the cursor of now: all changes that show already are taken as reported."""
    floor = time_text(now - _COMES_TO_LIGHT)
    latest = _rows(table, floor, _MOST_MARKS + 1, backward=True)
    shown = list(islice(latest, _MOST_MARKS + 1))[::-1]
    return cursors.seal(_LISTING, str(_Position.after(floor, floor, shown)))


def changes_since(
    table: Table, cursors: Cursors, since: str, limit: int, now: datetime
) -> tuple[list[Change], str]:
    """Return the changes after a cursor, oldest first, and the cursor after them.

    Raises:
        InvalidCursor: No answer gave it out, or it is too old.
    """
    position = _Position.parse(cursors.open(_LISTING, since))
    if position.floor < time_text(now - _CURSOR_LIFE):
        raise InvalidCursor("this cursor is too old: changes after it are no longer kept")
    settled = time_text(now - _COMES_TO_LIGHT)
    told = _select(_open_rows(table, position, limit, settled), position, limit)
    changes = _read(table, told.fresh, time_text(now))
    if len(changes) < len(told.fresh):
        told = told.cut_at(told.fresh[len(changes)])
    after = told.next_position(position, settled)
    return [change for change in changes if change], cursors.seal(_LISTING, str(after))


class _Selection(NamedTuple):
    """The rows that an answer goes through.

    Attributes:
        passed: All of them, oldest first.
        fresh: Those among them that were not reported yet.
        complete: Whether no row is left after them.
    """

    passed: list[_Row]
    fresh: list[_Row]
    complete: bool

    def cut_at(self, row: _Row) -> "_Selection":
        passed = [each for each in self.passed if each.changed < row.changed]
        return _Selection(passed, [each for each in passed if each in self.fresh], complete=False)

    def next_position(self, position: _Position, settled: str) -> _Position:
        """Return the position after these rows."""
        floor = settled
        if not self.complete:
            floor = min(settled, self.passed[-1].changed if self.passed else position.floor)
        floor = max(floor, position.floor)
        told = [row for row in self.passed if row.changed > floor]
        others: list[str] = []
        if not self.complete:
            # Rows that were not reached may have been reported already.
            reached = {row.mark for row in self.passed}
            others = [mark for mark in position.marks if mark not in reached]
        return _Position.after(floor, position.unmarked, told, others)


def _open_rows(table: Table, position: _Position, limit: int, settled: str) -> "Iterator[_Row]":
    """Yield the rows that may have something new, oldest first."""
    if position.floor < position.unmarked:
        # Those that come late among the unmarked can't be told from the others; so all of them
        # wait until no more will.
        end = min(position.unmarked, settled)
        yield from takewhile(
            lambda row: row.changed <= end, _rows(table, position.floor, limit + 1)
        )
    yield from _rows(table, position.unmarked, limit + len(position.marks) + 1)


def _select(rows: "Iterator[_Row]", position: _Position, limit: int) -> _Selection:
    selection = _Selection([], [], complete=True)
    reported = frozenset(position.marks)
    for row in rows:
        if row.mark not in reported:
            if len(selection.fresh) == limit:
                return selection._replace(complete=False)
            selection.fresh.append(row)
        selection.passed.append(row)
    return selection


def _rows(table: Table, floor: str, wanted: int, *, backward: bool = False) -> "Iterator[_Row]":
    items = merged(
        table,
        "feed = :shard AND changed > :floor",
        "changed",
        wanted,
        backward=backward,
        IndexName=CHANGES_INDEX,
        ExpressionAttributeValues={":floor": {"S": floor}},
    )
    return (_Row(item["sk"]["S"], item["changed"]["S"]) for item in items)


def _read(table: Table, rows: list[_Row], now: str) -> list[Change | None]:
    """Return the change of each row, up to the last that an answer has room for.

    The index only says which keys changed: what they hold is read from the table itself.
    """
    changes: list[Change | None] = []
    room = MAX_PAGE_BYTES
    for start in range(0, len(rows), MOST_KEYS):
        some = rows[start : start + MOST_KEYS]
        items = {item["sk"]["S"]: item for item in table.read_many([row.key for row in some])}
        for row in some:
            change = _change_of(items[row.key], now) if row.key in items else None
            room -= json_bound(change.key, change.value) if change else 0
            if room < 0:
                return changes
            changes.append(change)
    return changes


def _change_of(item: "Item", now: str) -> Change:
    """Return what watchers are told of an item.

    Of a key that is subscribed now that is the record's state. Else it is the last change while it
    was, with what has become of the record since; where another took its place, that it is gone.
    """
    if is_live(item, now) and "watched" in item:
        return Change.put(record_of(item))
    at, op, etag, *version = item["changed"]["S"].split(" ")
    if op == "put" and not version:
        if not is_deleted(item):
            return Change.put(record_of(item))
        at, etag = item["updated_at"]["S"], item["etag"]["S"]
    gone = version[0] if version else item["version"]["N"]
    return Change.deletion(item["sk"]["S"], int(gone), etag, at)
