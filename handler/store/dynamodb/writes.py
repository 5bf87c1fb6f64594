"""Conditional writes: the clauses of their conditions, and how DynamoDB takes them."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from handler.errors import InvalidRequest
from handler.preconditions import ANY, Etags
from handler.store.dynamodb.items import primary_key

if TYPE_CHECKING:
    from handler.store.dynamodb.items import Item, Value

# The clauses of the conditions. DynamoDB sweeps late, so an expired item counts as absent here.
UNEXPIRED = "attribute_not_exists(expires_at) OR expires_at > :now"
LIVE = f"attribute_exists(pk) AND ({UNEXPIRED})"
NO_ITEM = "attribute_not_exists(pk)"
NOT_DONE_YET = "etag <> :etag"
NOT_REPEATED = "(attribute_not_exists(request_token) OR request_token <> :token)"
COUNTS = "whole BETWEEN :low AND :high"
WATCHED = "attribute_exists(watched)"
UNWATCHED = "attribute_not_exists(watched)"
UNCHANGED = "etag = :seen"

# DynamoDB's IN takes no more.
_MOST_ETAGS = 100


class Write(NamedTuple):
    """A conditional UpdateItem.

    Attributes:
        key: The record's key.
        sets: What attributes are set to: an operand of an update expression.
        removes: The attributes that are removed.
        condition: What the item must be like.
        values: What the placeholders stand for; more than are used may be there.
    """

    key: str
    sets: Mapping[str, str]
    removes: tuple[str, ...]
    condition: str
    values: "Mapping[str, Value]"

    def arguments(self) -> dict[str, Any]:
        """Return it as UpdateItem takes it, and an Update of TransactWriteItems."""
        update = "SET " + ", ".join(f"{name} = {operand}" for name, operand in self.sets.items())
        if self.removes:
            update += " REMOVE " + ", ".join(self.removes)
        return {
            "Key": primary_key(self.key),
            "UpdateExpression": update,
            "ConditionExpression": self.condition,
            # DynamoDB refuses values that no expression names.
            "ExpressionAttributeValues": {
                name: self.values[name]
                for name in set(re.findall(r":\w+", f"{update} {self.condition}"))
            },
        }

    @property
    def makes_item(self) -> bool:
        """Whether it is for a key without an item: then PutItem does it, which is told less."""
        return self.condition == NO_ITEM and not self.removes

    def item(self) -> "Item":
        """Return the item that it makes."""
        attributes = {name: self.values[operand] for name, operand in self.sets.items()}
        return {**primary_key(self.key), **attributes}

    def only_on(self, item: "Item | None") -> "Write":
        """Return this write, which fits the item, for the case that it still is as it was read."""
        condition, values = unchanged(item)
        return self._replace(condition=condition, values={**self.values, **values})


def unchanged(item: "Item | None") -> "tuple[str, Mapping[str, Value]]":
    """Return the condition, with its value, that nobody wrote since the item was read."""
    if item is None:
        return NO_ITEM, {}
    watched = WATCHED if "watched" in item else UNWATCHED
    return f"{UNCHANGED} AND {watched}", {":seen": item["etag"]}


def match_clause(if_match: Etags | None) -> "tuple[tuple[str, ...], dict[str, Value]]":
    """Return the clause that If-Match asks for, if any, and its values."""
    if if_match is None or ANY in if_match:
        return (), {}
    if len(if_match) > _MOST_ETAGS:
        raise InvalidRequest(f"If-Match names more than {_MOST_ETAGS} states")
    # An empty ETag is no write's: so a list of none matches none.
    values: dict[str, Value] = {
        f":match{number}": {"S": etag} for number, etag in enumerate(if_match or ("",))
    }
    return (f"etag IN ({', '.join(values)})",), values
