"""What jsontext does, for many texts: with msgspec, and without it for what that refuses."""

import json
from typing import Any

import msgspec

from handler import jsontext

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])


def members(text: bytes) -> dict[str, bytes]:
    """Return an object's members: each name with its value's text.

    Raises:
        MalformedJSON: The text is not one JSON object in UTF-8.
    """
    try:
        return {name: bytes(value) for name, value in _members.decode(text).items()}
    except (msgspec.DecodeError, RecursionError):
        parts = jsontext.members(_decoded(text))
        return {name: part.encode() for name, part in parts.items()}


def elements(text: bytes) -> list[bytes]:
    """Return the text of each of an array's elements.

    Raises:
        MalformedJSON: The text is not one JSON array in UTF-8.
    """
    try:
        return [bytes(value) for value in _elements.decode(text)]
    except (msgspec.DecodeError, RecursionError):
        return [part.encode() for part in jsontext.elements(_decoded(text))]


def value(text: bytes) -> Any:
    """Return the Python value of JSON text that is known to be well formed."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return json.loads(text)


def text(value: object) -> str:
    """Return a value's JSON text."""
    return msgspec.json.encode(value).decode()


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise jsontext.MalformedJSON(error.start) from error
