"""Values on the command line: read from arguments, files and stdin; written to lines."""

import json
import os
import unicodedata
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, TextIO

from handler.jsontext import MalformedJSON, is_utf8
from kv_client.context import Context, UsageError

if TYPE_CHECKING:
    from kv_client.api import JSON

# The contract's longest time to live, in seconds.
LONGEST_TTL = 315_360_000
_ON_A_LINE = str.maketrans("\r\n", "  ")
_STDIN_TAKEN = "stdin holds the script: @FILE reads a value from a file, --literal takes - as text"


def read_value(context: Context, args: Namespace) -> "JSON":
    """Return the value that a command line names.

    Raises:
        UsageError: A file can't be read, the text is not UTF-8, or it was to be JSON and is not.
    """
    from kv_client.api import JSON, json_text

    text = _text(context, args.value, literal=args.literal)
    if not is_utf8(text):
        raise UsageError("VALUE is not UTF-8")
    if not args.json_value:
        return JSON(json_text(text))
    try:
        return JSON(text)
    except MalformedJSON as error:
        raise UsageError(f"VALUE is not JSON: {error}") from error


def _text(context: Context, value: str, *, literal: bool) -> str:
    if literal or (value != "-" and not value.startswith("@")):
        return value
    stdin = context.streams.stdin
    if value == "-" and stdin is None:
        raise UsageError(_STDIN_TAKEN)
    try:
        content = stdin.buffer.read() if stdin and value == "-" else Path(value[1:]).read_bytes()
        return content.decode()
    except OSError as error:
        raise UsageError(
            f"can't read {value}: {error.strerror} (--literal takes it as text)"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{'stdin' if value == '-' else value[1:]} is not UTF-8") from error
    except ValueError as error:
        raise UsageError(f"{value!r} names no file: {error}") from error


@contextmanager
def open_bytes(name: str, stdin: TextIO | None) -> Iterator[tuple[IO[bytes], int | None]]:
    """Open a file, or stdin where the name is ``-``; the file's size comes with it.

    Raises:
        UsageError: It can't be read.
    """
    if name == "-":
        if stdin is None:
            raise UsageError("stdin holds the script: name a file")
        yield stdin.buffer, None
        return
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 (only opening it is tried here)
    except (OSError, ValueError) as error:
        raise UsageError(f"can't read {name!r}: {getattr(error, 'strerror', error)}") from error
    with stream:
        yield stream, os.fstat(stream.fileno()).st_size


def shown(value: str) -> str:
    """Return a value's JSON as ``get`` prints it: a string as it is, anything else as JSON."""
    if not value.startswith('"'):
        return value
    text: str = json.loads(value)
    # A lone surrogate can't be printed.
    return text if is_utf8(text) else value


def shown_on_a_line(value: str) -> str:
    """Return a value's JSON for a line of its own: a string with control characters stays JSON."""
    text = shown(value)
    if not any(unicodedata.category(character) == "Cc" for character in text):
        return text
    return json.dumps(text) if value.startswith('"') else value.translate(_ON_A_LINE)
