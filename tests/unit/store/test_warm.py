"""Reads from the warm copy: ``Cache-Control: max-age=N`` on a get."""

from typing import Any

import msgspec
import pytest

from handler import routes
from handler.app import lambda_handler
from handler.model import Record
from handler.operations import Incr
from handler.store.dynamodb.engine import DynamoStore
from handler.store.dynamodb.warm import WarmCopies
from tests.clock import Clock
from tests.dynamodb import Wire

ONE = msgspec.Raw(b"1")
TWO = msgspec.Raw(b"2")


def record(key: str, size: int = 1) -> Record:
    value = msgspec.Raw(b"1" * size)
    return Record(key, value, 1, "etag", "", "", None, subscribed=False)


def get(key: str, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return send("GET", key, **named)


def send(method: str, key: str, **headers: str) -> dict[str, Any]:
    path = f"/keys/{key}"
    context = {"http": {"method": method, "path": path}, "stage": "$default"}
    return lambda_handler({"rawPath": path, "headers": headers, "requestContext": context}, None)


@pytest.fixture
def served(store: DynamoStore, monkeypatch: pytest.MonkeyPatch) -> DynamoStore:
    """Have the routes ask this store."""
    monkeypatch.setattr(routes, "STORE", store)
    return store


def test_a_copy_answers_for_as_long_as_the_caller_takes_it(
    served: DynamoStore, other: DynamoStore, wire: Wire, clock: Clock
) -> None:
    served.set("a", ONE)
    clock.go_on(7.5)
    other.put("a", TWO)
    wire.requests.clear()

    old = get("a", cache_control="max-age=8")
    assert ("7", 1) == (old["headers"]["Age"], msgspec.json.decode(old["body"])["value"])
    assert "no-store" == old["headers"]["Cache-Control"]
    assert [] == wire.requests

    new = get("a", cache_control="max-age=7")
    assert ("Age" in new["headers"], 2) == (False, msgspec.json.decode(new["body"])["value"])
    assert ["GetItem"] == wire.requests


@pytest.mark.parametrize("directive", ["", "max-age=0", "max-age=x", "no-cache, max-age=60"])
def test_without_max_age_the_read_is_fresh(served: DynamoStore, wire: Wire, directive: str) -> None:
    served.set("a", ONE)
    wire.requests.clear()

    answer = get("a", cache_control=directive)

    assert (200, False) == (answer["statusCode"], "Age" in answer["headers"])
    assert ["GetItem"] == wire.requests


def test_a_304_from_the_copy_has_an_age_too(served: DynamoStore, clock: Clock) -> None:
    etag = served.set("a", ONE).etag
    clock.go_on(2)

    answer = get("a", cache_control="Max-Age=60", if_none_match=f'"{etag}"')

    assert (304, "2", f'"{etag}"') == (
        answer["statusCode"],
        answer["headers"]["Age"],
        answer["headers"]["ETag"],
    )


def test_a_write_through_the_same_environment_is_seen_at_once(
    served: DynamoStore, clock: Clock
) -> None:
    served.set("a", ONE)
    served.put("a", TWO)
    assert b"2" == bytes(served.warm("a", 60)[0].value)  # type: ignore[index]

    served.batch([Incr("a", 5)], atomic=True)
    assert served.warm("a", 60) is None

    served.get("a")
    served.delete("a")
    assert served.warm("a", 60) is None


def test_a_write_whose_outcome_is_unknown_leaves_no_copy(served: DynamoStore, wire: Wire) -> None:
    served.set("a", ONE)
    wire.throttle("UpdateItem")

    answer = send("DELETE", "a")

    assert (503, "1") == (answer["statusCode"], answer["headers"]["Retry-After"])
    assert served.warm("a", 60) is None


def test_an_expired_copy_is_none(store: DynamoStore, clock: Clock) -> None:
    store.set("a", ONE, ttl=5)
    clock.go_on(5)

    assert store.warm("a", 60) is None


def test_copies_are_bounded_in_number_and_the_one_used_longest_ago_goes_first(clock: Clock) -> None:
    copies = WarmCopies(max_entries=2)
    for key in ("a", "b"):
        copies.keep(record(key), clock())
    copies.find("a", 60, clock())
    copies.keep(record("c"), clock())

    assert ["a", "c"] == [key for key in "abc" if copies.find(key, 60, clock())]


def test_copies_are_bounded_in_bytes(clock: Clock) -> None:
    copies = WarmCopies(max_bytes=30)
    for key in "abc":
        copies.keep(record(key, size=10), clock())
    copies.keep(record("c", size=20), clock())
    assert ["c"] == [key for key in "abc" if copies.find(key, 60, clock())]

    copies.keep(record("d", size=40), clock())
    assert [] == [key for key in "abcd" if copies.find(key, 60, clock())]
