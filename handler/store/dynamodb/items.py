"""Records as DynamoDB items: the table, its attributes, and the way back from an item.

==============  =================================================================================
attribute       holds
==============  =================================================================================
pk              the shard: a digit, from a hash of the key, so that writes spread
sk              the key; DynamoDB orders it by its UTF-8 bytes, as the contract does
json            the value's JSON text, as it was sent
packed          that text deflated, in its place where it is long and becomes shorter by a quarter
                or more: DynamoDB charges by the KiB, and bytes travel as base64
whole           the value where it is a whole number: so an increment is one request. There is no
                other form beside it where that would say the same
version         \
etag            |  the record's fields; ``expires_at`` is left out where there is none
created_at      |
updated_at      |
expires_at      /
request_token   the Idempotency-Key of the last write, if it had one
sweep_at        when DynamoDB may remove the item, in seconds (its TTL attribute): a while after the
                expiry, since the changes feed still reads it
watched         the shard again, on subscribed records only: the index that lists them is sparse
feed            the shard again, from the first subscription on: the index of the changes feed
changed         the last change that watchers are told of: its time, verb and ETag, and once another
                record is in its record's place, the version that this one came to
quiet           on records that nobody is subscribed to: what ``changed`` stays at
==============  =================================================================================

A deleted record stays as one that expired long ago, so "absent" is one condition; its ``version``
is the one that was deleted.
"""

import re
import zlib
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from handler.model import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, CreateTableInputTypeDef

    Value = AttributeValueTypeDef
    Item = dict[str, AttributeValueTypeDef]

SHARDS = "01234567"
SUBSCRIPTIONS_INDEX = "subscriptions"
CHANGES_INDEX = "changes"
TTL_ATTRIBUTE = "sweep_at"

# How long an item outlives its record: for so long the changes feed can tell of it.
KEPT = timedelta(days=1)
LONG_AGO = "1970-01-01T00:00:00.000Z"
# DynamoDB's unit of charge for a write: packing less would save nothing.
_UNPACKED_BYTES = 1024
_QUICKLY = 1
# Comes before every time, so that no cursor is before it.
NEVER = "0"
# Of a change: its time, verb and ETag.
_WORDS = 3


def table_definition(name: str) -> "CreateTableInputTypeDef":
    """Return the arguments of ``create_table``.

    TTL is switched on apart from it, on ``TTL_ATTRIBUTE``. A stream is no matter of the engine.
    """
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in ("pk", "sk", "watched", "feed", "changed")
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": SUBSCRIPTIONS_INDEX,
                "KeySchema": [
                    {"AttributeName": "watched", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["expires_at"]},
            },
            {
                "IndexName": CHANGES_INDEX,
                "KeySchema": [
                    {"AttributeName": "feed", "KeyType": "HASH"},
                    {"AttributeName": "changed", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
    }


def shard_of(key: str) -> str:
    """Return the shard that a key belongs to, for ever."""
    return SHARDS[blake2b(key.encode(), digest_size=1).digest()[0] % len(SHARDS)]


def primary_key(key: str) -> "Item":
    """Return a key as DynamoDB takes it."""
    return {"pk": {"S": shard_of(key)}, "sk": {"S": key}}


def is_live(item: "Item | None", now: str) -> bool:
    """Tell whether the item is a record that is there, as the condition ``LIVE`` does."""
    return item is not None and ("expires_at" not in item or item["expires_at"]["S"] > now)


def is_deleted(item: "Item") -> bool:
    """Tell whether the item is what a delete left, and not a record that ran out of time."""
    return text_of(item, "expires_at") == LONG_AGO


def record_of(item: "Item") -> Record:
    """Return the record that an item holds."""
    if "packed" in item:
        value = zlib.decompress(item["packed"]["B"])
    else:
        value = (item["json"]["S"] if "json" in item else item["whole"]["N"]).encode()
    return Record(
        key=item["sk"]["S"],
        value=msgspec.Raw(value),
        version=int(item["version"]["N"]),
        etag=item["etag"]["S"],
        created_at=item["created_at"]["S"],
        updated_at=item["updated_at"]["S"],
        expires_at=text_of(item, "expires_at") or None,
        subscribed="watched" in item,
    )


def text_of(item: "Item", attribute: str) -> str:
    """Return an attribute's text, empty where there is none."""
    return item[attribute]["S"] if attribute in item else ""


def value_attributes(value: msgspec.Raw) -> "Item":
    """Return the attributes that hold a value: one, or ``json`` beside ``whole`` if they differ."""
    plain = bytes(value)
    if len(plain) > _UNPACKED_BYTES:
        packed = zlib.compress(plain, _QUICKLY)
        if len(packed) * 4 <= len(plain) * 3:
            return {"packed": {"B": packed}}
    text = plain.decode()
    if not re.fullmatch("-?[0-9]{1,19}", text):
        return {"json": {"S": text}}
    whole: Item = {"whole": {"N": str(int(text))}}
    # Of whole numbers only -0 is written in another way than DynamoDB gives it back.
    return whole if whole["whole"]["N"] == text else {"json": {"S": text}, **whole}


def sweep_time(moment: datetime) -> "Value":
    """Return when an item may go whose record expires, or was deleted, at a moment."""
    return {"N": str(int((moment + KEPT).timestamp()))}


def change_mark(now: str, op: str, etag: str) -> str:
    """Return what ``changed`` holds: it orders by time, and no two are the same."""
    return f"{now} {op} {etag}"


def last_words(item: "Item | None") -> str:
    """Return what ``changed`` stays at where a record is made in the place of an expired one.

    The version is added, since the item will hold another record's; nothing else of the text
    changes, so that no cursor comes to be behind it.

    Args:
        item: What is left of the record before, if there was one.
    """
    if item is None or "feed" not in item:
        return NEVER
    words = item["changed"]["S"].split(" ")
    # Fewer are none at all, and more have been the last words of a record before.
    if len(words) == _WORDS:
        words.append(item["version"]["N"])
    return " ".join(words)
