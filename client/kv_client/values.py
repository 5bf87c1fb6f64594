"""Values on the command line: read from arguments, files and stdin; written to lines."""

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from handler import jsontext
from handler.jsontext import is_utf8
from kv_client.context import Context, UsageError

if TYPE_CHECKING:
    from kv_client.api import JSON
    from kv_client.records import Record


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
        return JSON(jsontext.check(text))
    except jsontext.MalformedJSON as error:
        raise UsageError(f"VALUE is not JSON: {error}") from error


def _text(context: Context, value: str, *, literal: bool) -> str:
    if literal or (value != "-" and not value.startswith("@")):
        return value
    stdin = context.streams.stdin
    if value == "-" and stdin is None:
        raise UsageError(
            "stdin holds the script, so no value: @FILE reads a file, --literal takes -"
        )
    try:
        content = stdin.buffer.read() if stdin and value == "-" else Path(value[1:]).read_bytes()
        return content.decode()
    except OSError as error:
        raise UsageError(
            f"can't read {value}: {error.strerror} (--literal takes it as text)"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{'stdin' if value == '-' else value[1:]} is not UTF-8") from error


def shown(record: "Record") -> str:
    """Return a value as ``get`` prints it: a string as it is, anything else as JSON."""
    if not record.json.startswith('"'):
        return record.json
    text: str = json.loads(record.json)
    return text if is_utf8(text) else record.json


def shown_on_a_line(record: "Record") -> str:
    """Return a value for a line of its own: a string with control characters stays JSON."""
    text = shown(record)
    if any(character < " " or character == "\x7f" for character in text):
        return record.json.replace("\r", " ").replace("\n", " ")
    return text
