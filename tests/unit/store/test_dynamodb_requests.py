"""How many requests each verb sends to DynamoDB."""

import json

import msgspec
import pytest

from handler.errors import InvalidRequest, KeyExists, KeyNotFound, RequestTooLarge
from handler.operations import BatchBody
from handler.store.dynamodb.engine import DynamoStore
from tests.dynamodb import Wire

ONE = msgspec.Raw(b"1")
TWO = msgspec.Raw(b"2")


def batch(store: DynamoStore, *operations: dict[str, object], atomic: bool = False) -> list[object]:
    body = msgspec.json.decode(json.dumps({"operations": operations}), type=BatchBody)
    return list(store.batch(body.operations, atomic=atomic))


def test_set_and_a_refused_set_send_one_request(store: DynamoStore, wire: Wire) -> None:
    store.set("a", ONE)
    with pytest.raises(KeyExists):
        store.set("a", ONE)

    assert ["PutItem"] * 2 == wire.requests


def test_get_sends_one_request(store: DynamoStore, wire: Wire) -> None:
    store.set("a", ONE)
    wire.requests.clear()

    store.get("a")

    assert ["GetItem"] == wire.requests


@pytest.mark.parametrize("subscribed", [False, True])
def test_put_incr_and_del_send_one_request_each(
    store: DynamoStore, wire: Wire, *, subscribed: bool
) -> None:
    store.set("a", ONE)
    if subscribed:
        store.subscribe("a")
    wire.requests.clear()

    store.put("a", TWO)
    store.increment("a", 1)
    store.delete("a")

    assert ["UpdateItem"] * 3 == wire.requests


def test_put_and_incr_make_a_key_that_never_was_with_one_request(
    store: DynamoStore, wire: Wire
) -> None:
    store.put("a", ONE, create=True)
    store.increment("b", 1)

    assert ["UpdateItem"] * 2 == wire.requests


def test_subs_and_unsubs_send_one_request_also_when_nothing_changes(
    store: DynamoStore, wire: Wire
) -> None:
    store.set("a", ONE)
    wire.requests.clear()

    store.subscribe("a")
    store.subscribe("a")
    store.unsubscribe("a")

    assert ["UpdateItem"] * 3 == wire.requests


def test_a_page_of_100_sends_8_requests(store: DynamoStore, wire: Wire) -> None:
    for number in range(120):
        store.set(f"key-{number:03}", ONE)
    wire.requests.clear()

    page = store.page("key-", 100, None)

    assert [f"key-{number:03}" for number in range(100)] == [item.key for item in page.items]
    assert ["Query"] * 8 == wire.requests


def test_100_gets_of_a_batch_send_one_request(store: DynamoStore, wire: Wire) -> None:
    for number in range(10):
        store.set(f"key-{number}", ONE)
    wire.requests.clear()

    results = batch(store, *({"op": "get", "key": f"key-{number % 20}"} for number in range(100)))

    assert 50 == sum(isinstance(result, msgspec.Struct) for result in results)
    assert ["BatchGetItem"] == wire.requests


def test_gets_of_a_batch_see_the_writes_before_them_and_not_those_after(
    store: DynamoStore,
) -> None:
    get = {"op": "get", "key": "a"}

    results = batch(
        store,
        {"op": "set", "key": "a", "value": 1},
        get,
        {"op": "incr", "key": "a"},
        get,
        {"op": "del", "key": "a"},
    )

    assert [b"1", b"2"] == [bytes(results[at].value) for at in (1, 3)]  # type: ignore[attr-defined]


def test_keys_that_dynamodb_leaves_out_of_a_batch_are_asked_for_again(
    store: DynamoStore, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        store.set(f"key-{number}", ONE)
    client = store._table.client
    whole = client.batch_get_item

    def half(**arguments: object) -> object:
        ((name, wanted),) = arguments["RequestItems"].items()  # type: ignore[attr-defined]
        some, rest = wanted["Keys"][:1], wanted["Keys"][1:]
        answer = whole(RequestItems={name: {**wanted, "Keys": some}})
        return {**answer, "UnprocessedKeys": {name: {"Keys": rest}} if rest else {}}

    monkeypatch.setattr(client, "batch_get_item", half)
    wire.requests.clear()

    results = batch(store, *({"op": "get", "key": f"key-{number}"} for number in range(4)))

    assert [f"key-{number}" for number in range(4)] == [
        getattr(each, "key", "") for each in results
    ]
    assert ["BatchGetItem"] * 4 == wire.requests


def test_an_atomic_batch_reads_once_and_writes_once(store: DynamoStore, wire: Wire) -> None:
    store.set("a", ONE)
    wire.requests.clear()

    batch(
        store,
        {"op": "put", "key": "a", "value": 2},
        {"op": "set", "key": "b", "value": 2},
        {"op": "incr", "key": "c"},
        atomic=True,
    )

    assert ["BatchGetItem", "TransactWriteItems"] == wire.requests


def test_an_atomic_batch_that_cannot_be_writes_nothing(store: DynamoStore, wire: Wire) -> None:
    store.set("a", ONE)
    wire.requests.clear()

    results = batch(
        store,
        {"op": "incr", "key": "b"},
        {"op": "set", "key": "a", "value": 2},
        {"op": "incr", "key": "c"},
        atomic=True,
    )

    assert isinstance(results[-1], KeyExists)
    assert 2 == len(results)
    assert ["BatchGetItem"] == wire.requests


def test_an_atomic_batch_holds_at_most_100_operations(store: DynamoStore) -> None:
    gets = [{"op": "get", "key": f"key-{number}"} for number in range(101)]

    with pytest.raises(InvalidRequest, match="at most 100 operations"):
        batch(store, *gets, atomic=True)

    assert isinstance(batch(store, *gets[:100], atomic=True)[-1], KeyNotFound)


def test_an_atomic_batch_touches_a_key_once(store: DynamoStore) -> None:
    with pytest.raises(InvalidRequest, match="touches a key once"):
        batch(store, {"op": "incr", "key": "a"}, {"op": "get", "key": "a"}, atomic=True)


def test_an_atomic_batch_is_at_most_4_mib(store: DynamoStore) -> None:
    value = "x" * 390_000
    sets = [{"op": "set", "key": f"key-{number}", "value": value} for number in range(11)]

    with pytest.raises(RequestTooLarge, match="4194304 bytes"):
        batch(store, *sets, atomic=True)


def test_an_empty_atomic_batch_sends_nothing(store: DynamoStore, wire: Wire) -> None:
    assert [] == batch(store, atomic=True)
    assert [] == wire.requests
