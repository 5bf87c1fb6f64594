"""Request bodies: what they may hold, and how they are read."""

import json
import re
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from handler import jsontext
from handler.errors import InvalidRequest
from handler.model import TimeToLive, Whole64

Body = TypeVar("Body")

_SURROGATE = re.compile(r"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class SetBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of set."""

    key: str
    value: msgspec.Raw
    ttl: TimeToLive | None = None


class PutBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of put."""

    value: msgspec.Raw
    ttl: TimeToLive | None | UnsetType = UNSET


class IncrBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of incr."""

    by: Whole64 = 1


def decode(text: str, decoder: "msgspec.json.Decoder[Body]") -> Body:
    """Read a request's body.

    Raises:
        InvalidRequest: The body is not JSON, or not of the decoder's type; the message says where.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"this request takes another body: {error}") from error
    except UnicodeEncodeError as error:
        raise InvalidRequest("the body is not UTF-8") from error
    except (msgspec.DecodeError, RecursionError):
        return _decode_what_msgspec_cannot(text, decoder)


def _decode_what_msgspec_cannot(text: str, decoder: "msgspec.json.Decoder[Body]") -> Body:
    """Read a body with values that nest deeply or hold an escaped lone surrogate, if it is one."""
    values: list[str] = []
    try:
        jsontext.check(text)
        body = decoder.decode(_with_stand_ins(text, values))
    except jsontext.MalformedJSON as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"this request takes another body: {error}") from error
    for part in getattr(body, "operations", [body]):
        if hasattr(part, "value"):
            part.value = msgspec.Raw(values[int(bytes(part.value))].encode())
    return body


def _with_stand_ins(text: str, values: list[str]) -> str:
    """Move every value out of the text into ``values``, and leave its index in its place."""
    if not text.lstrip(" \t\r\n").startswith("{"):
        return text
    parts = [
        f"{json.dumps(name)}:{_stand_in(name, part, values)}"
        for name, part in jsontext.members(text).items()
    ]
    return f"{{{','.join(parts)}}}"


def _stand_in(name: str, part: str, values: list[str]) -> str:
    if name == "value":
        values.append(part)
        return str(len(values) - 1)
    if name == "operations" and part.startswith("["):
        operations = (_with_stand_ins(each, values) for each in jsontext.elements(part))
        return f"[{','.join(operations)}]"
    if name == "key":
        # No key holds a surrogate or a NUL: one may stand for the other until it is refused.
        return _SURROGATE.sub(r"\1\\u0000", part)
    return part
