"""Copying a store into another one, and proving that it arrived."""

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from kv_client.lines import Line, State, export, parse_line, same_state
from kv_client.transfer import Import, Mode

if TYPE_CHECKING:
    from kv_client.api import KVClient

# Each round after the first carries only what was written during the round before.
_ROUNDS = 5
_EXAMPLES = 10


class Side(NamedTuple):
    """One of the two stores: the records that the source has, and a hash over them.

    The hash is over keys, values and subscriptions. A time to live has whole seconds, so expiries
    are compared one by one instead.
    """

    records: int
    sha256: str


class Copy(NamedTuple):
    """What came of copying.

    Attributes:
        copied: How many times a record was written: more than once where it changed meanwhile.
        source: What the source holds.
        target: What the target holds of it.
        only_in_target: How many records the target holds beside them.
        examples: The first of their keys.
        same: Whether every record of the source is in the target as it is there.
    """

    copied: int
    source: Side
    target: Side
    only_in_target: int
    examples: list[str]
    same: bool


class _Comparison(NamedTuple):
    source: Side
    target: Side
    only_in_target: int
    examples: list[str]
    differing: list[Line]


def copy(source: "KVClient", target: "KVClient", complain: Callable[[str], None]) -> Copy:
    """Copy all records, then compare, and catch up with what was written meanwhile.

    Args:
        source: The store to copy from; it is only read.
        target: The store to copy to; what it holds beside the source's records stays.
        complain: Called with each key that still differs in the end, and why where that is known.
    """
    failures: dict[int, Exception] = {}
    work = Import(
        target, Mode.REPLACE, dry_run=False, complain=failures.__setitem__, same=_same_content
    )
    work.run(enumerate(export(source, ""), 1))
    comparison = _compare(source, target)
    reasons: dict[str, Exception] = {}
    for _ in range(_ROUNDS):
        if not comparison.differing:
            break
        failures.clear()
        before = work.writes
        work.run((line.number, line.text) for line in comparison.differing)
        reasons = {
            line.key: failures[line.number]
            for line in comparison.differing
            if line.number in failures
        }
        comparison = _compare(source, target)
        if work.writes == before:
            break
    for line in comparison.differing:
        complain(f"{line.key}: {reasons.get(line.key, 'it is not the same on both sides')}")
    return Copy(
        copied=work.writes,
        source=comparison.source,
        target=comparison.target,
        only_in_target=comparison.only_in_target,
        examples=comparison.examples,
        same=not comparison.differing and comparison.source == comparison.target,
    )


def _compare(source: "KVClient", target: "KVClient") -> _Comparison:
    left, right, only_right = _Tally(), _Tally(), _Tally()
    differing: list[Line] = []
    for mine, theirs in _side_by_side(_lines(source), _lines(target)):
        if mine is not None:
            left.add(mine)
        if theirs is not None:
            (only_right if mine is None else right).add(theirs)
        if mine is not None and (theirs is None or not _same(mine, theirs)):
            differing.append(mine)
    return _Comparison(left.side, right.side, only_right.records, only_right.examples, differing)


class _Tally:
    """Counts records and hashes them."""

    def __init__(self) -> None:
        self.records = 0
        self.examples: list[str] = []
        self._digest = hashlib.sha256()

    def add(self, line: Line) -> None:
        self.records += 1
        self._digest.update(_digested(line))
        if len(self.examples) < _EXAMPLES:
            self.examples.append(line.key)

    @property
    def side(self) -> Side:
        return Side(self.records, self._digest.hexdigest())


def _side_by_side(
    left: Iterator[Line], right: Iterator[Line]
) -> Iterator[tuple[Line | None, Line | None]]:
    """Yield the records of two stores in key order, those of one key together."""
    mine, theirs = next(left, None), next(right, None)
    while mine is not None or theirs is not None:
        key = min(line.key for line in (mine, theirs) if line is not None)
        in_left = mine is not None and mine.key == key
        in_right = theirs is not None and theirs.key == key
        yield mine if in_left else None, theirs if in_right else None
        mine = next(left, None) if in_left else mine
        theirs = next(right, None) if in_right else theirs


def _lines(client: "KVClient") -> Iterator[Line]:
    for number, text in enumerate(export(client, ""), 1):
        with client.understood():
            line = parse_line(number, text)
        yield line


def _same(mine: Line, theirs: Line) -> bool:
    subscriptions = {bool(line.state.subscribed) for line in (mine, theirs)}
    return _same_content(mine.state, theirs.state) and len(subscriptions) == 1


def _same_content(mine: State, theirs: State) -> bool:
    """Tell whether value and expiry are the same: to the byte, for no file came between them."""
    return mine.value == theirs.value and same_state(mine, theirs)


def _digested(line: Line) -> bytes:
    """Return the bytes of a record that both sides must have; no part of it holds a NUL."""
    return b"\0".join((line.key.encode(), line.state.value, b"%d" % bool(line.state.subscribed)))
