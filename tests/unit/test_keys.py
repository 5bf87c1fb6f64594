"""The rules for keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.errors import InvalidKey
from handler.keys import MAX_KEY_BYTES, check_key

SEGMENTS = st.text(st.characters(exclude_characters="%?#\\/", exclude_categories=("Cc", "Cs")))


@pytest.mark.parametrize("key", ["a", "a/b", "a b", "...", ".a", "+", '"', "é", "🗝", "x" * 1024])
def test_a_good_key_is_returned_unchanged(key: str) -> None:
    assert key == check_key(key)


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("", "empty"),
        ("a%b", "this one holds %"),
        ("a?b", r"this one holds \?"),
        ("a#b", "this one holds #"),
        ("a\\b", r"this one holds \\"),
        ("a\x00", r"U\+0000"),
        ("a\x1fb", r"U\+001F"),
        ("a\x7fb", r"U\+007F"),
        ("a\x9fb", r"U\+009F"),
        ("a\ud800", r"U\+D800"),
        (" a", "white space"),
        ("a\u3000", "white space"),
        ("/a", "segments"),
        ("a/", "segments"),
        ("a//b", "segments"),
        (".", "segments"),
        ("a/../b", "segments"),
        ("x" * 1025, "this one has 1025"),
        ("🗝" * 257, "this one has 1028"),
    ],
)
def test_a_bad_key_is_refused_with_the_rule_that_it_breaks(key: str, word: str) -> None:
    with pytest.raises(InvalidKey, match=word):
        check_key(key)


@given(st.lists(SEGMENTS, min_size=1).map("/".join))
def test_a_key_is_refused_only_for_what_the_contract_says(key: str) -> None:
    good = (
        all(segment not in ("", ".", "..") for segment in key.split("/"))
        and key == key.strip()
        and len(key.encode()) <= MAX_KEY_BYTES
    )

    try:
        accepted = check_key(key) == key
    except InvalidKey:
        accepted = False

    assert good == accepted
