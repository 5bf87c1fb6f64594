"""If-Match and If-None-Match, as RFC 9110 has them."""

import pytest

from handler.errors import InvalidRequest
from handler.preconditions import if_match, if_none_match, matches


def test_an_absent_field_is_no_precondition() -> None:
    assert (None, None) == (if_match(None), if_none_match(None))


@pytest.mark.parametrize(
    ("text", "strong", "weak"),
    [
        ('"a"', ("a",), ("a",)),
        ('W/"a"', (), ("a",)),
        ('"a", W/"b" ,"c"', ("a", "c"), ("a", "b", "c")),
        (' "a" ', ("a",), ("a",)),
        ('"a,b"', ("a,b",), ("a,b",)),
        ('""', ("",), ("",)),
        ('"W/"', ("W/",), ("W/",)),
        ('W/"a,", "b"', ("b",), ("a,", "b")),
    ],
)
def test_the_etags_are_those_that_the_comparison_takes(
    text: str, strong: tuple[str, ...], weak: tuple[str, ...]
) -> None:
    assert strong == if_match(text)
    assert weak == if_none_match(text)


@pytest.mark.parametrize("text", ["*", " * "])
def test_a_star_matches_any_state(text: str) -> None:
    etags = if_match(text)

    assert etags is not None
    assert matches(etags, "whatever")


def test_a_star_in_quotes_is_an_etag_like_any_other() -> None:
    etags = if_match('"*"')

    assert etags is not None
    assert (False, True) == (matches(etags, "whatever"), matches(etags, "*"))


@pytest.mark.parametrize("text", ["", "a", '"a', 'a"', '"a",', ',"a"', '"a" "b"', '*,"a"', 'w/"a"'])
def test_a_malformed_field_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^If-Match takes"):
        if_match(text)
    with pytest.raises(InvalidRequest, match=r"^If-None-Match takes"):
        if_none_match(text)
