"""The verbs that leave a value: they make a record, or change the one that is there."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from handler.model import ZERO, Record, expiry
from handler.preconditions import Etags
from handler.store.dynamodb.items import (
    change_mark,
    is_live,
    last_words,
    record_of,
    sweep_time,
    text_of,
    value_attributes,
)
from handler.store.dynamodb.verbs import Step, Verb, check_match
from handler.store.dynamodb.writes import (
    COUNTS,
    LIVE,
    NO_ITEM,
    NOT_DONE_YET,
    NOT_REPEATED,
    Write,
    match_clause,
)
from handler.store.refusals import counter_at_its_end, key_exists, no_counter, no_key, no_state

if TYPE_CHECKING:
    from handler.store.dynamodb.items import Item, Value

_LOW, _HIGH = -(2**63), 2**63 - 1


class _ValueVerb(Verb, frozen=True, gc=False):
    """What set, put and incr have in common."""

    def _make(
        self, item: "Item | None", value: msgspec.Raw, ttl: int | None, token: str | None
    ) -> Write:
        """Return the write that makes a record where there is none.

        Args:
            item: What is still there, expired or deleted: what it tells the changes feed stays.
            value: The new record's value.
            ttl: Its time to live.
            token: The request's Idempotency-Key.
        """
        sets = {
            "version": ":one",
            "etag": ":etag",
            "created_at": ":now",
            "updated_at": ":now",
            "changed": ":last_words",
            "quiet": ":last_words",
        }
        write = self._with_value(sets, value, ttl, token)
        return write._replace(
            removes=(*write.removes, "watched"),
            values={**write.values, ":last_words": {"S": last_words(item)}},
        ).only_on(item)

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
            "packed": None,
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
    """Makes a record where there is none."""

    value: msgspec.Raw
    ttl: int | None
    token: str | None

    def guess(self) -> Write:
        """Return the write for a key that never was: there is nothing to clear away."""
        return self._make(None, self.value, self.ttl, self.token)._replace(removes=())

    def given(self, item: "Item | None") -> Step:
        if item is None or not is_live(item, self.now):
            write = self._make(item, self.value, self.ttl, self.token)
            return Step(write, self._after(item, self.value, self.ttl))
        if self._repeats(item, self.token):
            return Step(None, record_of(item))
        raise key_exists(self.key)


class Put(_ValueVerb, frozen=True, gc=False):
    """Changes a record; with ``create`` it makes one, too."""

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
                raise no_key(self.key)
            if self.if_match is not None:
                raise no_state(self.key)
            ttl = None if self.ttl is UNSET else self.ttl
            return Step(self._make(item, self.value, ttl, self.token), after)
        if self._repeats(item, self.token):
            return Step(None, record_of(item))
        check_match(item, self.if_match)
        return Step(self._change_matching(), after)

    def _change_matching(self) -> Write:
        clauses, values = match_clause(self.if_match)
        write = self._change(self.value, self.ttl, self.token, clauses)
        return write._replace(values={**write.values, **values})


class Increment(_ValueVerb, frozen=True, gc=False):
    """Adds to ``whole``, in DynamoDB itself."""

    by: int
    token: str | None

    def guess(self) -> Write:
        write = self._add()
        return write._replace(condition=f"{NO_ITEM} OR ({write.condition})")

    def given(self, item: "Item | None") -> Step:
        if item is None or not is_live(item, self.now):
            start = msgspec.Raw(b"%d" % self.by)
            write = self._make(item, start, None, self.token)
            return Step(write, self._after(item, start, None))
        if self._repeats(item, self.token):
            return Step(None, record_of(item))
        if "whole" not in item:
            raise no_counter(self.key)
        number = int(item["whole"]["N"]) + self.by
        if not _LOW <= number <= _HIGH:
            raise counter_at_its_end(self.key)
        return Step(self._add(), self._after(item, msgspec.Raw(b"%d" % number), UNSET))

    def _add(self) -> Write:
        write = self._change(ZERO, UNSET, self.token, (COUNTS,))
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
