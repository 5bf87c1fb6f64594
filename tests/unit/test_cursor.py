"""Cursors open only what was sealed."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.cursor import Cursors
from handler.errors import InvalidCursor

CURSORS = Cursors(b"secret")
TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@given(TEXT, TEXT)
def test_a_cursor_opens_to_the_position_that_was_sealed(listing: str, position: str) -> None:
    assert position == CURSORS.open(listing, CURSORS.seal(listing, position))


@given(TEXT, TEXT)
def test_a_cursor_is_safe_in_a_url(listing: str, position: str) -> None:
    safe = set(string.ascii_letters + string.digits + "-_")

    assert set(CURSORS.seal(listing, position)) <= safe


@given(TEXT, TEXT)
def test_no_cursor_looks_like_an_option(listing: str, position: str) -> None:
    assert CURSORS.seal(listing, position)[0].isalpha()


@given(TEXT, TEXT, st.data())
def test_a_cursor_changed_by_one_character_is_refused(
    listing: str, position: str, data: st.DataObject
) -> None:
    cursor = CURSORS.seal(listing, position)
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.characters(exclude_characters=cursor[at]))

    with pytest.raises(InvalidCursor):
        CURSORS.open(listing, cursor[:at] + other + cursor[at + 1 :])


@given(st.text())
def test_a_text_that_was_not_sealed_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        CURSORS.open("keys", text)


def test_a_cursor_of_another_listing_is_refused() -> None:
    with pytest.raises(InvalidCursor):
        CURSORS.open("keys b", CURSORS.seal("keys a", "x"))


def test_a_cursor_of_another_store_is_refused() -> None:
    with pytest.raises(InvalidCursor):
        Cursors(b"another secret").open("keys", CURSORS.seal("keys", "x"))


def test_a_listing_and_a_position_do_not_run_into_each_other() -> None:
    assert CURSORS.seal("ab", "c") != CURSORS.seal("a", "bc")
