"""Listings over the shards: each one is asked in order, and what they answer is merged."""

from heapq import merge
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

from handler.store.dynamodb.items import SHARDS
from handler.store.dynamodb.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from handler.store.dynamodb.items import Item


def merged(
    table: Table,
    condition: str,
    order: str,
    wanted: int,
    *,
    start: "Callable[[str], Item | None]" = lambda _: None,
    backward: bool = False,
    **arguments: Any,
) -> "Iterator[Item]":
    """Yield the items of all shards, in the order of one attribute.

    Args:
        table: Where they are.
        condition: The KeyConditionExpression; ``:shard`` stands for the shard.
        order: The attribute, which the shards are sorted by.
        wanted: How many items will do, as far as is known.
        start: Returns for a shard after which key it begins.
        backward: Whether to begin at the end.
        arguments: More arguments of Query.
    """
    arguments |= {
        "KeyConditionExpression": condition,
        "Limit": share(wanted),
        "ScanIndexForward": not backward,
    }
    values = arguments.pop("ExpressionAttributeValues", {})
    return merge(
        *(
            _shard(
                table,
                start(shard),
                {**arguments, "ExpressionAttributeValues": {**values, ":shard": {"S": shard}}},
            )
            for shard in SHARDS
        ),
        key=lambda item: item[order]["S"],
        reverse=backward,
    )


def _shard(table: Table, start: "Item | None", arguments: dict[str, Any]) -> "Iterator[Item]":
    while True:
        items, start = table.query(start, **arguments)
        yield from items
        if start is None:
            return
        # Many expired items in a row would else be many requests.
        arguments["Limit"] *= 2


def share(wanted: int) -> int:
    """Return how many items of a shard are asked for: enough of them for so many in all.

    Keys fall to the shards like dice: six standard deviations above the mean, one shard in a
    billion needs another request, and no more than that is read for nothing.
    """
    chance = 1 / len(SHARDS)
    spread = sqrt(wanted * chance * (1 - chance))
    return min(wanted, ceil(wanted * chance + 6 * spread))
