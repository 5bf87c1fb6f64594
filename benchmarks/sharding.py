"""How writes spread over the DynamoDB engine's shards, and what that throttles.

Simulates a minute of writes against the table's 8 shards, each with the 1,000 write units a second
that DynamoDB gives a partition, and counts what would be throttled before DynamoDB splits further:

    python benchmarks/sharding.py

For comparison it also puts all keys on one shard, and parts them by their first characters.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate, count, cycle, islice

from handler.store.dynamodb.items import SHARDS, shard_of

SECONDS = 60
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
WRITES_OF_A_PARTITION = 1000
KEYS = 100_000


def random_keys() -> Iterator[str]:
    """Yield keys of which none is likelier than another."""
    while True:
        yield f"user/{random.randrange(KEYS)}"


def sequential_keys() -> Iterator[str]:
    """Yield keys as a log or a counter makes them: each one after the one before."""
    return (f"event/{number:012}" for number in count())


def skewed_keys() -> Iterator[str]:
    """Yield keys by Zipf's law: the most popular one is a twelfth of all."""
    weights = list(accumulate(1 / rank for rank in range(1, KEYS + 1)))
    while True:
        yield from (
            f"page/{rank}" for rank in random.choices(range(KEYS), cum_weights=weights, k=10_000)
        )


def one_key() -> Iterator[str]:
    """Yield the same key for ever: a counter that everybody increments."""
    return cycle(["counter"])


def one_shard(_: str) -> str:
    """Put every key into one partition."""
    return SHARDS[0]


def by_prefix(key: str) -> str:
    """Put keys that begin alike into one partition, as a sort key's ranges do."""
    return key[:12]


PATTERNS: dict[str, Callable[[], Iterator[str]]] = {
    "random": random_keys,
    "sequential": sequential_keys,
    "skewed": skewed_keys,
    "one key": one_key,
}
LAYOUTS: dict[str, Callable[[str], str]] = {
    "8 shards": shard_of,
    "one shard": one_shard,
    "by prefix": by_prefix,
}


def throttled(keys: Iterator[str], shard: Callable[[str], str], rate: int) -> Counter[str]:
    """Return how many writes of each shard are throttled in a minute at ``rate`` a second."""
    refused: Counter[str] = Counter()
    for _ in range(SECONDS):
        for name, writes in Counter(map(shard, islice(keys, rate))).items():
            refused[name] += max(0, writes - WRITES_OF_A_PARTITION)
    return refused


def main() -> None:
    """Print a table: throttled writes in a hundred, and the shard that is worst off."""
    print("| keys | layout | 1,000/s | 4,000/s | 6,000/s | 8,000/s | worst shard at 8,000/s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for pattern, keys in PATTERNS.items():
        for layout, shard in LAYOUTS.items():
            random.seed(0)
            refused = {rate: throttled(keys(), shard, rate) for rate in (1000, 4000, 6000, 8000)}
            shares = [f"{part.total() / (rate * SECONDS):.1%}" for rate, part in refused.items()]
            worst = max(refused[8000].values(), default=0)
            print(f"| {pattern} | {layout} | {' | '.join(shares)} | {worst:,} |")


if __name__ == "__main__":
    main()
