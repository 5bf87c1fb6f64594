"""JSON as text: where each value of it begins and ends, however deep it nests.

msgspec and the standard library stop at Python's recursion limit, and msgspec refuses an escaped
lone surrogate, which the grammar of RFC 8259 allows. Here a value is only passed over, so that its
text can be cut out unchanged: by the standard library's scanner, and where that gives up, token by
token.
"""

import json
import re
from collections.abc import Iterator

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
_NAME = re.compile(rf"({_STRING})[ \t\n\r]*:[ \t\n\r]*")
_SCALAR = re.compile(
    rf"{_STRING}|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null"
)
_CLOSING = {"[": "]", "{": "}"}


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


# Numbers stay text: as int, one of more than 4300 digits would be refused.
_passing_over = json.JSONDecoder(
    parse_int=str, parse_float=str, parse_constant=_refuse_constant
).raw_decode


class MalformedJSON(ValueError):
    """The text is not the JSON that was looked for; the message says from where on."""

    def __init__(self, at: int) -> None:
        super().__init__(f"JSON is malformed at character {at}")


def members(text: str) -> dict[str, str]:
    """Return an object's members: each name with its value's text; of a name twice, the last.

    Raises:
        MalformedJSON: The text is not one JSON object.
    """
    return {_plain(name): value for name, value in _parts(text, "{")}


def elements(text: str) -> list[str]:
    """Return the text of each of an array's elements.

    Raises:
        MalformedJSON: The text is not one JSON array.
    """
    return [value for _, value in _parts(text, "[")]


def check(text: str) -> str:
    """Return the JSON value that the text is, without the white space around it.

    Raises:
        MalformedJSON: The text is not one JSON value.
    """
    start = _skip_space(text, 0)
    end = _value_end(text, start)
    _expect_end(text, end)
    return text[start:end]


def is_utf8(text: str) -> bool:
    """Tell whether UTF-8 has the text: all of it but lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(string: str) -> str:
    """Return the text that a JSON string stands for."""
    plain: str = json.loads(string) if "\\" in string else string[1:-1]
    return plain


def _parts(text: str, opening: str) -> Iterator[tuple[str, str]]:
    """Yield the name (empty in an array) and the text of each value, one level down."""
    at = _skip_space(text, 0)
    if not text.startswith(opening, at):
        raise MalformedJSON(at)
    closing = _CLOSING[opening]
    at = _skip_space(text, at + 1)
    more = not text.startswith(closing, at)
    while more:
        name = ""
        if opening == "{":
            name, at = _member_name(text, at)
        end = _value_end(text, at)
        yield name, text[at:end]
        at = _skip_space(text, end)
        more = text.startswith(",", at)
        if more:
            at = _skip_space(text, at + 1)
    if not text.startswith(closing, at):
        raise MalformedJSON(at)
    _expect_end(text, at + 1)


def _value_end(text: str, at: int) -> int:
    """Return where the value that begins at ``at`` ends."""
    try:
        return _passing_over(text, at)[1]
    except RecursionError:
        return _deep_value_end(text, at)
    except json.JSONDecodeError as error:
        raise MalformedJSON(error.pos) from error
    except ValueError as error:
        raise MalformedJSON(at) from error


def _deep_value_end(text: str, at: int) -> int:
    open_brackets: list[str] = []
    while True:
        bracket = text[at : at + 1]
        if closing := _CLOSING.get(bracket):
            at = _skip_space(text, at + 1)
            if not text.startswith(closing, at):
                open_brackets.append(closing)
                if bracket == "{":
                    _, at = _member_name(text, at)
                continue
            at += 1
        elif scalar := _SCALAR.match(text, at):
            at = scalar.end()
        else:
            raise MalformedJSON(at)
        while open_brackets:
            at = _skip_space(text, at)
            if text.startswith(",", at):
                at = _skip_space(text, at + 1)
                if open_brackets[-1] == "}":
                    _, at = _member_name(text, at)
                break
            if not text.startswith(open_brackets[-1], at):
                raise MalformedJSON(at)
            open_brackets.pop()
            at += 1
        else:
            return at


def _member_name(text: str, at: int) -> tuple[str, int]:
    """Return an object member's name as JSON, and where its value begins."""
    if found := _NAME.match(text, at):
        return found[1], found.end()
    raise MalformedJSON(at)


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _expect_end(text: str, at: int) -> None:
    if (end := _skip_space(text, at)) != len(text):
        raise MalformedJSON(end)
