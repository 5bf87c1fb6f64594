"""JSON as text, held against the standard library."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import jsontext
from handler.jsontext import MalformedJSON

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
SPACES = st.text(" \t\r\n", max_size=3)
# Close to JSON, so that not all of it is refused at the first character.
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *'{}[],:"\\ \n\t\x01é10-+e',
            *('"a"', '"\\u12', "\\ud800", ".5", "1.0", "-0", "01", "true", "null"),
            *("NaN", "Infinity", "\u00a0", "\ufeff"),
        ]
    )
).map("".join)
DEEP = 100_000


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return False
    return True


@given(
    value=VALUES,
    before=SPACES,
    after=SPACES,
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_check_returns_the_value_without_the_space_around_it(
    value: object, before: str, after: str, *, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    assert text == jsontext.check(before + text + after)


@given(FRAGMENTS)
def test_check_takes_what_the_standard_library_takes(text: str) -> None:
    try:
        checked = jsontext.check(text) == text.strip(" \t\r\n")
    except MalformedJSON:
        checked = False

    assert _is_json(text) == checked


@given(FRAGMENTS)
def test_check_of_a_deep_text_takes_what_the_standard_library_takes(text: str) -> None:
    # Beyond the recursion limit another scanner takes over.
    try:
        jsontext.check("[" * 5000 + text + "]" * 5000)
        checked = True
    except MalformedJSON:
        checked = False

    assert _is_json(f"[{text}]") == checked


@given(st.dictionaries(st.text(), VALUES), SPACES)
def test_members_returns_the_text_of_each_value(members: dict[str, object], space: str) -> None:
    texts = {name: json.dumps(value) for name, value in members.items()}
    parts = [f"{space}{json.dumps(name)}{space}:{space}{text}" for name, text in texts.items()]

    assert texts == jsontext.members(f"{space}{{{f'{space},'.join(parts)}{space}}}{space}")


@given(st.lists(VALUES), SPACES)
def test_elements_returns_the_text_of_each_element(elements: list[object], space: str) -> None:
    texts = [json.dumps(value) for value in elements]

    joined = f"{space},{space}".join(texts)
    assert texts == jsontext.elements(f"{space}[{space}{joined}{space}]{space}")


def test_members_takes_the_last_value_of_a_name_that_is_there_twice() -> None:
    assert {"a": "2"} == jsontext.members('{"a":1,"\\u0061":2}')


@pytest.mark.parametrize("text", ["[]", "1", "", "{", '{"a":1,}', '{"a":1} x', "{a:1}", '{"a" 1}'])
def test_members_refuses_what_is_no_object(text: str) -> None:
    with pytest.raises(MalformedJSON):
        jsontext.members(text)


@pytest.mark.parametrize("text", ["{}", "1", "", "[", "[1,]", "[1] x", "[,1]", "[1 2]", "[NaN]"])
def test_elements_refuses_what_is_no_array(text: str) -> None:
    with pytest.raises(MalformedJSON):
        jsontext.elements(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * DEEP + "]" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        '[ {"a" :[ 1 , {} , [] ], "b": ' * DEEP + '"\\ud800"' + " } ]" * DEEP,
    ],
    ids=["arrays", "objects", "both"],
)
def test_a_value_may_nest_however_deep(text: str) -> None:
    assert text == jsontext.check(f" {text} ")
    assert [text, "1"] == jsontext.elements(f"[{text},1]")
    assert {"a": text, "b": "1"} == jsontext.members(f'{{"a":{text},"b":1}}')


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", ""), ("[", "}"), ("[", "]]"), ("[", ",]"), ('{"a":', "]"), ("{", "}"), ("[1 ", "]")],
)
def test_a_deep_value_that_is_malformed_is_refused(opening: str, closing: str) -> None:
    with pytest.raises(MalformedJSON):
        jsontext.check(opening * DEEP + "1" + closing * DEEP)


def test_the_message_says_where_json_is_malformed() -> None:
    with pytest.raises(MalformedJSON, match="at character 4"):
        jsontext.check("[1, x]")


@pytest.mark.parametrize(("text", "expected"), [("a é 🗝", True), ("\ud800", False), ("", True)])
def test_is_utf8_tells_lone_surrogates(text: str, *, expected: bool) -> None:
    assert expected == jsontext.is_utf8(text)
