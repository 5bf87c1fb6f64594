"""What the store answers with, as objects that keep the JSON text of values unchanged."""

import json
from datetime import datetime
from typing import Any, Literal, NamedTuple

from handler import jsontext


class Record(NamedTuple):
    """A key with its value and state, as in the contract.

    Attributes:
        json: The value's JSON text, to the byte as it was sent.
        version: 1 after set; grows by 1 with every put or increment.
        etag: Unique to one write; what ``if_match`` takes.
        expires_at: When the record goes; None if it stays.
        text: The whole record as the store sent it.
    """

    key: str
    json: str
    version: int
    etag: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    subscribed: bool
    text: str

    @property
    def value(self) -> Any:
        """The value as Python has it; ``json`` is the one to use where every digit counts."""
        return json.loads(self.json)

    @classmethod
    def parse(cls, text: str) -> "Record":
        """Return the record that a JSON text is."""
        value, state = _parts(text)
        return cls(
            key=state["key"],
            json=value,
            version=state["version"],
            etag=state["etag"],
            created_at=datetime.fromisoformat(state["created_at"]),
            updated_at=datetime.fromisoformat(state["updated_at"]),
            expires_at=_moment(state["expires_at"]),
            subscribed=state["subscribed"],
            text=text,
        )


class Change(NamedTuple):
    """A write of a subscribed key.

    Attributes:
        json: The value's JSON text; ``null`` for del.
        text: The whole change as the store sent it.
    """

    key: str
    op: Literal["put", "del"]
    version: int
    etag: str
    json: str
    at: datetime
    text: str

    @property
    def value(self) -> Any:
        """The value as Python has it; None for del."""
        return json.loads(self.json)

    @classmethod
    def parse(cls, text: str) -> "Change":
        """Return the change that a JSON text is."""
        value, state = _parts(text)
        return cls(
            key=state["key"],
            op=state["op"],
            version=state["version"],
            etag=state["etag"],
            json=value,
            at=datetime.fromisoformat(state["at"]),
            text=text,
        )


def _parts(text: str) -> tuple[str, dict[str, Any]]:
    """Return the value's text, and what the other fields hold."""
    fields = jsontext.members(text)
    value = fields.pop("value")
    return value, {name: json.loads(part) for name, part in fields.items()}


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
