"""A batch's operations: one verb on one key each, and how each one asks the store."""

import re
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from handler.errors import KVError
from handler.keys import check_key
from handler.model import Record, TimeToLive, Whole64, check_value
from handler.preconditions import Etags, if_match

if TYPE_CHECKING:
    from handler.store import Store


class _Operation(msgspec.Struct, tag_field="op", forbid_unknown_fields=True):
    """``run`` checks the operation and does it, with the errors that its verb has alone."""

    answers_value: ClassVar[bool] = True

    key: str


class Set(_Operation, tag="set"):
    """Make a record."""

    answers_value = False

    value: msgspec.Raw
    ttl: TimeToLive | None = None

    def run(self, store: "Store") -> Record:
        return store.set(check_key(self.key), check_value(self.value), ttl=self.ttl)


class Get(_Operation, tag="get"):
    """Return a record."""

    def run(self, store: "Store") -> Record:
        return store.get(check_key(self.key))


class Put(_Operation, tag="put"):
    """Change a record's value."""

    answers_value = False

    value: msgspec.Raw
    ttl: TimeToLive | None | UnsetType = UNSET
    if_match: str | None = None
    create: bool = False

    def run(self, store: "Store") -> Record:
        return store.put(
            check_key(self.key),
            check_value(self.value),
            ttl=self.ttl,
            if_match=_etags(self.if_match),
            create=self.create,
        )


class Del(_Operation, tag="del"):
    """Delete a record."""

    if_match: str | None = None

    def run(self, store: "Store") -> None:
        store.delete(check_key(self.key), if_match=_etags(self.if_match))


class Incr(_Operation, tag="incr"):
    """Add to a record's whole number."""

    answers_value = False

    by: Whole64 = 1

    def run(self, store: "Store") -> Record:
        return store.increment(check_key(self.key), self.by)


class Subs(_Operation, tag="subs"):
    """Have a key's changes reported."""

    def run(self, store: "Store") -> Record:
        return store.subscribe(check_key(self.key))


class Unsubs(_Operation, tag="unsubs"):
    """No longer report a key's changes."""

    def run(self, store: "Store") -> None:
        store.unsubscribe(check_key(self.key))


Operation = Set | Get | Put | Del | Incr | Subs | Unsubs


def attempt(operation: Operation, store: "Store") -> Record | None | KVError:
    """Return what the operation answers, or why it could not be."""
    try:
        return operation.run(store)
    except KVError as error:
        return error


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a batch."""

    operations: Annotated[list[Operation], Meta(max_length=1000)]
    atomic: bool = False


def _etags(text: str | None) -> Etags | None:
    """Return what ``if_match`` names: an ``etag`` as records have it, or as If-Match does."""
    plain = text is not None and re.fullmatch(r"[\w-]+", text)
    return if_match(f'"{text}"' if plain else text)
