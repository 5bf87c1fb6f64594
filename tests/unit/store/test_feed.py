"""The changes feed and its bounds."""

import msgspec
import pytest

from handler.errors import InvalidCursor
from handler.model import Change
from handler.store.memory.feed import Feed


def _change(key: str, value: bytes = b"1") -> Change:
    return Change(key, "put", 1, f"etag-{key}", msgspec.Raw(value), "2026-11-24T20:55:43.123Z")


def _keys(feed: Feed, since: int) -> list[tuple[int, str]]:
    return [(position, change.key) for position, change in feed.since(since)]


def test_changes_come_oldest_first_each_with_its_position() -> None:
    feed = Feed(1000)
    for key in "abc":
        feed.add(_change(key))

    assert [(1, "a"), (2, "b"), (3, "c")] == _keys(feed, 0)
    assert [(3, "c")] == _keys(feed, 2)
    assert [] == _keys(feed, feed.position)


def test_a_keys_later_change_takes_the_place_of_its_earlier_one() -> None:
    feed = Feed(1000)
    for key in "aba":
        feed.add(_change(key))

    assert [(2, "b"), (3, "a")] == _keys(feed, 0)


def test_a_merged_change_does_not_make_a_cursor_too_old() -> None:
    feed = Feed(1000)
    for _ in range(5):
        feed.add(_change("a"))

    assert [(5, "a")] == _keys(feed, 0)


def test_beyond_10000_keys_the_oldest_change_is_forgotten() -> None:
    feed = Feed(10**9)
    for number in range(10_001):
        feed.add(_change(str(number)))

    assert 10_000 == len(feed.since(1))
    with pytest.raises(InvalidCursor, match="too old"):
        feed.since(0)


def test_beyond_its_bytes_the_oldest_changes_are_forgotten() -> None:
    feed = Feed(10)
    feed.add(_change("a", b"12345"))
    feed.add(_change("b", b"12345"))
    feed.add(_change("c", b"1"))

    assert [(2, "b"), (3, "c")] == _keys(feed, 1)
    with pytest.raises(InvalidCursor):
        feed.since(0)


def test_the_latest_change_stays_however_large() -> None:
    feed = Feed(10)
    feed.add(_change("a", b"1"))
    feed.add(_change("b", b"1" * 100))

    assert [(2, "b")] == _keys(feed, 1)


def test_an_overwritten_value_no_longer_takes_room() -> None:
    feed = Feed(10)
    for _ in range(5):
        feed.add(_change("a", b"12345"))
    feed.add(_change("b", b"12345"))

    assert [(5, "a"), (6, "b")] == _keys(feed, 0)
