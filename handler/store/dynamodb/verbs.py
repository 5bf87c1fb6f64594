"""The verbs as writes to DynamoDB: what each one sends, and what it makes of the state it met.

A verb sends its write before it knows the state: the condition says which one it is for. Where the
condition fails, ``given`` looks at the state that made it fail and gives the contract's answer, or
the write for that state.
"""

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from handler.model import Record, time_text
from handler.preconditions import Etags, matches
from handler.store.dynamodb.items import (
    LONG_AGO,
    NEVER,
    change_mark,
    is_live,
    record_of,
    shard_of,
    sweep_time,
    text_of,
)
from handler.store.dynamodb.writes import (
    LIVE,
    UNWATCHED,
    WATCHED,
    Write,
    match_clause,
)
from handler.store.refusals import no_key, not_subscribed, other_state

if TYPE_CHECKING:
    from handler.store.dynamodb.items import Item, Value


class Step(NamedTuple):
    """What a verb does on a state that is known.

    Attributes:
        write: What remains to be written, if anything.
        answer: What the verb answers once it is.
    """

    write: Write | None
    answer: Record | None


class Verb(msgspec.Struct, frozen=True, gc=False):
    """One verb on one key.

    Attributes:
        key: The record's key.
        moment: When the request came.
        etag: The ETag of this write, which tells it from all others.
    """

    key: str
    moment: datetime
    etag: str

    @property
    def now(self) -> str:
        return time_text(self.moment)

    def guess(self) -> Write:
        """Return the write for the state that is likeliest, or for any, with its condition."""
        raise NotImplementedError

    def given(self, item: "Item | None") -> Step:
        """Return what to do on a state; raise what the contract says where it can't be."""
        raise NotImplementedError

    def answer(self, item: "Item") -> Record | None:
        """Return the answer once the item is as this verb wrote it."""
        return record_of(item)

    def wrote(self, item: "Item | None") -> bool:
        """Tell from a state whether this very write has been done."""
        return item is not None and text_of(item, "etag") == self.etag

    def _values(self) -> "dict[str, Value]":
        return {
            ":now": {"S": self.now},
            ":etag": {"S": self.etag},
            ":never": {"S": NEVER},
            ":zero": {"N": "0"},
            ":one": {"N": "1"},
        }

    def _existing(self, item: "Item | None") -> "Item":
        if item is None or not is_live(item, self.now):
            raise no_key(self.key)
        return item


class Get(Verb, frozen=True, gc=False):
    """Only atomic batches have it as a verb: there it holds the record still."""

    def given(self, item: "Item | None") -> Step:
        return Step(None, record_of(self._existing(item)))


class Delete(Verb, frozen=True, gc=False):
    """Leaves an item that expired long ago: for the changes feed, and to know its own retry by."""

    if_match: Etags | None

    def guess(self) -> Write:
        clauses, values = match_clause(self.if_match)
        return Write(
            key=self.key,
            sets={
                "etag": ":etag",
                "updated_at": ":now",
                "expires_at": ":long_ago",
                "sweep_at": ":sweep_at",
                "changed": "if_not_exists(quiet, :changed)",
            },
            removes=("json", "packed", "whole", "request_token", "watched"),
            condition=" AND ".join((LIVE, *clauses)),
            values={
                **self._values(),
                **values,
                ":long_ago": {"S": LONG_AGO},
                ":sweep_at": sweep_time(self.moment),
                ":changed": {"S": change_mark(self.now, "del", self.etag)},
            },
        )

    def given(self, item: "Item | None") -> Step:
        check_match(self._existing(item), self.if_match)
        return Step(self.guess(), None)

    def answer(self, item: "Item") -> None:
        """Answer nothing."""


class Subscribe(Verb, frozen=True, gc=False):
    """Ends the quiet: from now on ``changed`` follows the writes."""

    def guess(self) -> Write:
        return Write(
            key=self.key,
            sets={
                "watched": ":shard",
                "feed": ":shard",
                "changed": "if_not_exists(quiet, :never)",
            },
            removes=("quiet",),
            condition=f"{LIVE} AND {UNWATCHED}",
            values={**self._values(), ":shard": {"S": shard_of(self.key)}},
        )

    def given(self, item: "Item | None") -> Step:
        record = record_of(self._existing(item))
        if record.subscribed:
            return Step(None, record)
        return Step(self.guess(), msgspec.structs.replace(record, subscribed=True))

    def wrote(self, item: "Item | None") -> bool:
        return item is not None and is_live(item, self.now) and "watched" in item


class Unsubscribe(Verb, frozen=True, gc=False):
    """Begins the quiet: ``changed`` stays as it is, whatever is written."""

    def guess(self) -> Write:
        return Write(
            key=self.key,
            sets={"quiet": "if_not_exists(changed, :never)"},
            removes=("watched",),
            condition=f"{LIVE} AND {WATCHED}",
            values=self._values(),
        )

    def given(self, item: "Item | None") -> Step:
        if "watched" not in self._existing(item):
            raise not_subscribed(self.key)
        return Step(self.guess(), None)

    def answer(self, item: "Item") -> None:
        """Answer nothing."""

    def wrote(self, item: "Item | None") -> bool:
        return item is not None and is_live(item, self.now) and "watched" not in item


def check_match(item: "Item", if_match: Etags | None) -> None:
    """Check that the record is in a state that If-Match names.

    Raises:
        VersionMismatch: It is in another.
    """
    if if_match is None or matches(if_match, item["etag"]["S"]):
        return
    raise other_state(item["sk"]["S"], item["version"]["N"])
