"""Records as lines of JSON: what export prints, and import reads."""

import codecs
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, NamedTuple

from handler.keys import check_key
from kv_client import fastjson
from kv_client.errors import ValueTooLarge
from kv_client.values import LONGEST_TTL

if TYPE_CHECKING:
    from kv_client.api import KVClient

# The longest record, with room for another program's spacing.
_MAX_LINE_BYTES = 4 * 1024 * 1024
# The contract's limits, so that a dry run knows of them too and no batch is refused for one line.
_MAX_VALUE_BYTES = 384 * 1024
LONGEST_LIFE = timedelta(seconds=LONGEST_TTL)
# A time to live is in whole seconds, so an expiry that was imported is off by less than this.
_SAME_EXPIRY = timedelta(seconds=2)
_ON_A_LINE = bytes.maketrans(b"\r\n", b"  ")
_FIELDS = {
    "key",
    "value",
    "version",
    "etag",
    "created_at",
    "updated_at",
    "expires_at",
    "subscribed",
}


class State(NamedTuple):
    """What an import carries of a record.

    Attributes:
        value: Its JSON text.
        expires_at: When it goes; None if it stays.
        subscribed: Whether it is subscribed to; None where that is not to be changed.
    """

    value: bytes
    expires_at: datetime | None
    subscribed: bool | None


class Line(NamedTuple):
    """A record as a line of JSON, which is the line of that number in a file."""

    number: int
    key: str
    state: State
    text: bytes


class _MalformedLine(ValueError):
    """A line holds no record; the message says why."""


def export(client: "KVClient", prefix: str) -> Iterator[bytes]:
    """Yield the records whose keys begin with ``prefix`` as JSON text, in key order."""
    for page in client.pages("/keys", "items", _record, {"prefix": prefix}):
        yield from page


def _record(text: bytes) -> bytes:
    """Return a record's JSON text. Raises ValueError or KeyError where it is none."""
    fields = fastjson.members(text)
    if not fields["key"].startswith(b'"') or "value" not in fields:
        raise ValueError
    return text


def read_lines(stream: IO[bytes], advance: Callable[[int], object]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a stream that are not blank, with their numbers from 1.

    Args:
        stream: What to read; never more than a line of it is held.
        advance: Called with the bytes of each line that was read.
    """
    number = 0
    while text := stream.readline(_MAX_LINE_BYTES):
        number += 1
        advance(len(text))
        # Some editors begin a file with a mark that it is UTF-8.
        line = text.removeprefix(codecs.BOM_UTF8) if number == 1 else text
        while len(text) == _MAX_LINE_BYTES and not text.endswith(b"\n"):
            text = stream.readline(_MAX_LINE_BYTES)
            advance(len(text))
            line = b""
        if line.strip() or not line:
            yield number, line


def parse_line(number: int, text: bytes) -> Line:
    """Return the record that a line is.

    Raises:
        ValueError: It is none; the message says why.
        InvalidKey: Its key breaks a rule.
    """
    if not text:
        raise _MalformedLine(f"is longer than {_MAX_LINE_BYTES} bytes, so no record")
    text.decode()
    if not text.lstrip().startswith(b"{"):
        raise _MalformedLine("a record is a JSON object, one a line")
    fields = fastjson.members(text)
    if unknown := fields.keys() - _FIELDS:
        raise _MalformedLine(f"a record has no field {min(unknown)!r}")
    if missing := {"key", "value"} - fields.keys():
        raise _MalformedLine(f"a record has the field {min(missing)!r}")
    key = fastjson.value(fields["key"])
    if not isinstance(key, str):
        raise _MalformedLine("the key is not text")
    if (size := len(fields["value"])) > _MAX_VALUE_BYTES:
        raise ValueTooLarge(f"a value is at most {_MAX_VALUE_BYTES} bytes of JSON; this has {size}")
    state = state_of(fields)
    if state.expires_at and state.expires_at - datetime.now(UTC) > LONGEST_LIFE + _SAME_EXPIRY:
        raise _MalformedLine(f"expires_at is more than {LONGEST_LIFE.days} days away")
    return Line(number, check_key(key), state, text)


def state_of(fields: dict[str, bytes]) -> State:
    """Return what an import carries of the fields of a record.

    Raises:
        ValueError: They are none; the message says why.
    """
    subscribed = fastjson.value(fields.get("subscribed", b"null"))
    if not isinstance(subscribed, bool | None):
        raise _MalformedLine("subscribed is true, false or null")
    return State(fields["value"], _moment(fields.get("expires_at", b"null")), subscribed)


def _moment(text: bytes) -> datetime | None:
    expires_at = fastjson.value(text)
    if expires_at is None:
        return None
    with suppress(TypeError, ValueError):
        moment = datetime.fromisoformat(expires_at)
        if moment.tzinfo is not None:
            return moment
    raise _MalformedLine("expires_at is a time with its zone, as 2030-12-31T23:59:59Z, or null")


def same_state(wanted: State, found: State) -> bool:
    """Tell whether value and expiry are the same, as far as a file and a time to live can say."""
    # On a line of its own a value's line breaks become spaces.
    if wanted.value not in (found.value, found.value.translate(_ON_A_LINE)):
        return False
    if wanted.expires_at is None or found.expires_at is None:
        return wanted.expires_at is found.expires_at
    return abs(wanted.expires_at - found.expires_at) < _SAME_EXPIRY
