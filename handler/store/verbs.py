"""The verbs as writes to DynamoDB: what each one sends, and what it makes of the state it met.

A verb sends its write before it knows the state: the condition says which one it is for. Where the
condition fails, ``given`` looks at the state that made it fail and gives the contract's answer, or
the write for that state.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from handler.errors import (
    KeyExists,
    KeyNotFound,
    NotACounter,
    NotSubscribed,
    VersionMismatch,
)
from handler.model import Record, expiry, time_text
from handler.store import ANY, Etags
from handler.store.items import (
    LONG_AGO,
    NEVER,
    change_mark,
    is_live,
    record_of,
    shard_of,
    sweep_time,
    text_of,
    value_attributes,
)
from handler.store.writes import (
    ABSENT,
    COUNTS,
    LIVE,
    NO_ITEM,
    NOT_DONE_YET,
    NOT_REPEATED,
    UNWATCHED,
    WATCHED,
    Write,
    match_clause,
)

if TYPE_CHECKING:
    from handler.store.items import Item, Value

_LOW, _HIGH = -(2**63), 2**63 - 1
_ZERO = msgspec.Raw(b"0")


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
            raise KeyNotFound(f"there is no key {self.key!r}")
        return item


class Get(Verb, frozen=True, gc=False):
    """Only atomic batches have it as a verb: there it holds the record still."""

    def given(self, item: "Item | None") -> Step:
        return Step(None, record_of(self._existing(item)))


class _ValueVerb(Verb, frozen=True, gc=False):
    """A verb that leaves a value: it makes a record, or changes the one that is there."""

    def _make(self, value: msgspec.Raw, ttl: int | None, token: str | None) -> Write:
        """Return the write that makes a record where there is none.

        An item may still be there, expired or deleted: what it tells the changes feed stays.
        """
        sets = {
            "version": ":one",
            "etag": ":etag",
            "created_at": ":now",
            "updated_at": ":now",
            "quiet": "if_not_exists(changed, :never)",
        }
        write = self._with_value(sets, value, ttl, token)
        return write._replace(removes=(*write.removes, "watched"), condition=ABSENT)

    def _change(
        self,
        value: msgspec.Raw,
        ttl: int | None | UnsetType,
        token: str | None,
        clauses: tuple[str, ...] = (),
    ) -> Write:
        """Return the write that changes a record, as long as it is not this write's own doing."""
        sets = {
            "version": "if_not_exists(version, :zero) + :one",
            "etag": ":etag",
            "created_at": "if_not_exists(created_at, :now)",
            "updated_at": ":now",
            "changed": "if_not_exists(quiet, :changed)",
        }
        repeated = () if token is None else (NOT_REPEATED,)
        condition = " AND ".join((LIVE, NOT_DONE_YET, *repeated, *clauses))
        return self._with_value(sets, value, ttl, token)._replace(condition=condition)

    def _with_value(
        self,
        sets: Mapping[str, str],
        value: msgspec.Raw,
        ttl: int | None | UnsetType,
        token: str | None,
    ) -> Write:
        attributes: dict[str, Value | None] = {
            "json": None,
            "whole": None,
            "request_token": None if token is None else {"S": token},
            **value_attributes(value),
        }
        if ttl is not UNSET:
            expires_at = expiry(self.moment, ttl, None)
            attributes["expires_at"] = None if expires_at is None else {"S": expires_at}
            attributes["sweep_at"] = (
                None if ttl is None else sweep_time(self.moment + timedelta(seconds=ttl))
            )
        present = {f":{name}": held for name, held in attributes.items() if held is not None}
        return Write(
            key=self.key,
            sets={**sets, **{name[1:]: name for name in present}},
            removes=tuple(name for name, held in attributes.items() if held is None),
            condition="",
            values={
                **self._values(),
                **present,
                ":token": {"S": token or ""},
                ":changed": {"S": change_mark(self.now, "put", self.etag)},
            },
        )

    def _repeats(self, item: "Item", token: str | None) -> bool:
        return token is not None and text_of(item, "request_token") == token

    def _after(
        self, item: "Item | None", value: msgspec.Raw, ttl: int | None | UnsetType
    ) -> Record:
        """Return the record that this write leaves, where the state before is known."""
        old = record_of(item) if item and is_live(item, self.now) else None
        return Record(
            key=self.key,
            value=value,
            version=old.version + 1 if old else 1,
            etag=self.etag,
            created_at=old.created_at if old else self.now,
            updated_at=self.now,
            expires_at=expiry(self.moment, ttl, old.expires_at if old else None),
            subscribed=old is not None and old.subscribed,
        )


class Set(_ValueVerb, frozen=True, gc=False):
    value: msgspec.Raw
    ttl: int | None
    token: str | None

    def guess(self) -> Write:
        return self._make(self.value, self.ttl, self.token)

    def given(self, item: "Item | None") -> Step:
        if item is None or not is_live(item, self.now):
            return Step(self.guess(), self._after(item, self.value, self.ttl))
        if self._repeats(item, self.token):
            return Step(None, record_of(item))
        raise KeyExists(f"{self.key!r} is there already; put changes it")


class Put(_ValueVerb, frozen=True, gc=False):
    value: msgspec.Raw
    ttl: int | None | UnsetType
    if_match: Etags | None
    create: bool
    token: str | None

    def guess(self) -> Write:
        write = self._change_matching()
        if self.create and self.if_match is None:
            write = write._replace(condition=f"{NO_ITEM} OR ({write.condition})")
        return write

    def given(self, item: "Item | None") -> Step:
        after = self._after(item, self.value, self.ttl)
        if item is None or not is_live(item, self.now):
            if not self.create:
                raise KeyNotFound(f"there is no key {self.key!r}")
            if self.if_match is not None:
                raise VersionMismatch(f"If-Match names a state of {self.key!r}, which is not there")
            ttl = None if self.ttl is UNSET else self.ttl
            return Step(self._make(self.value, ttl, self.token), after)
        if self._repeats(item, self.token):
            return Step(None, record_of(item))
        _check_match(item, self.if_match)
        return Step(self._change_matching(), after)

    def _change_matching(self) -> Write:
        clauses, values = match_clause(self.if_match)
        write = self._change(self.value, self.ttl, self.token, clauses)
        return write._replace(values={**write.values, **values})


class Increment(_ValueVerb, frozen=True, gc=False):
    by: int
    token: str | None

    def guess(self) -> Write:
        write = self._add()
        return write._replace(condition=f"{NO_ITEM} OR ({write.condition})")

    def given(self, item: "Item | None") -> Step:
        if item is None or not is_live(item, self.now):
            start = msgspec.Raw(b"%d" % self.by)
            return Step(self._make(start, None, self.token), self._after(item, start, None))
        if self._repeats(item, self.token):
            return Step(None, record_of(item))
        if "whole" not in item:
            raise NotACounter(f"the value of {self.key!r} is not a whole number of 64 bits")
        number = int(item["whole"]["N"]) + self.by
        if not _LOW <= number <= _HIGH:
            raise NotACounter(f"{self.key!r} would leave the range of 64-bit numbers")
        return Step(self._add(), self._after(item, msgspec.Raw(b"%d" % number), UNSET))

    def _add(self) -> Write:
        write = self._change(_ZERO, UNSET, self.token, (COUNTS,))
        return write._replace(
            sets={**write.sets, "whole": "if_not_exists(whole, :zero) + :by"},
            values={
                **write.values,
                ":by": {"N": str(self.by)},
                # DynamoDB holds 38 digits: the bounds may lie beyond 64 bits.
                ":low": {"N": str(_LOW - self.by)},
                ":high": {"N": str(_HIGH - self.by)},
            },
        )


class Delete(Verb, frozen=True, gc=False):
    """Leaves an item that expired long ago: it tells the changes feed, and a retry of this delete."""

    if_match: Etags | None

    def guess(self) -> Write:
        clauses, values = match_clause(self.if_match)
        return Write(
            key=self.key,
            sets={
                "etag": ":etag",
                "updated_at": ":now",
                "gone": "version",
                "expires_at": ":long_ago",
                "sweep_at": ":sweep_at",
                "changed": "if_not_exists(quiet, :changed)",
            },
            removes=("json", "whole", "request_token", "watched"),
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
        _check_match(self._existing(item), self.if_match)
        return Step(self.guess(), None)

    def answer(self, item: "Item") -> None:
        return None


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
            raise NotSubscribed(f"{self.key!r} is not subscribed to")
        return Step(self.guess(), None)

    def answer(self, item: "Item") -> None:
        return None

    def wrote(self, item: "Item | None") -> bool:
        return item is not None and is_live(item, self.now) and "watched" not in item


def _check_match(item: "Item", if_match: Etags | None) -> None:
    if if_match is None or ANY in if_match or item["etag"]["S"] in if_match:
        return
    raise VersionMismatch(
        f"{item['sk']['S']!r} is at version {item['version']['N']}, another than If-Match names"
    )
