"""Request bodies: what they may hold, and how they are read."""

import json
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from handler import jsontext
from handler.errors import InvalidRequest
from handler.model import TimeToLive, Whole64

Body = TypeVar("Body")


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
    """Read a body that nests deeply or holds escaped lone surrogates, if it is one."""
    parts: list[str] = []
    try:
        jsontext.check(text)
        body = decoder.decode(_with_stand_ins(text, parts))
    except jsontext.MalformedJSON as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"this request takes another body: {error}") from error
    for each in getattr(body, "operations", [body]):
        if hasattr(each, "value"):
            each.value = msgspec.Raw(parts[int(bytes(each.value))].encode())
        if hasattr(each, "key"):
            each.key = json.loads(parts[int(each.key)])
    return body


def _with_stand_ins(text: str, parts: list[str]) -> str:
    """Move every value and key out of the text into ``parts``, and leave its index in its place."""
    if not text.lstrip(" \t\r\n").startswith("{"):
        return text
    members = [
        f"{json.dumps(name)}:{_stand_in(name, part, parts)}"
        for name, part in jsontext.members(text).items()
    ]
    return f"{{{','.join(members)}}}"


def _stand_in(name: str, part: str, parts: list[str]) -> str:
    if name == "value":
        parts.append(part)
        return str(len(parts) - 1)
    if name == "key" and part.startswith('"'):
        parts.append(part)
        return f'"{len(parts) - 1}"'
    if name == "operations" and part.startswith("["):
        operations = (_with_stand_ins(each, parts) for each in jsontext.elements(part))
        return f"[{','.join(operations)}]"
    return part
