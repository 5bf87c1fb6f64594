"""What callers see when DynamoDB is throttled, out of reach, or its answers get lost."""

import json
from collections.abc import Callable

import msgspec
import pytest

from handler.errors import (
    EngineUnavailable,
    KeyExists,
    KeyNotFound,
    KVError,
    NotSubscribed,
    VersionMismatch,
)
from handler.operations import BatchBody
from handler.store.dynamodb.engine import DynamoStore
from handler.store.dynamodb.table import Table
from tests.dynamodb import Wire
from tests.unit.store.conftest import Clock

ONE = msgspec.Raw(b"1")
TWO = msgspec.Raw(b"2")
LONG = 3600

THROTTLED = (400, "ProvisionedThroughputExceededException")
BROKEN = (500, "InternalServerError")

each_write = pytest.mark.parametrize(
    "write",
    [
        lambda store: store.put("a", TWO),
        lambda store: store.increment("a", 1),
        lambda store: store.put("a", TWO, if_match=(store.etag,)),
    ],
    ids=["put", "incr", "put with If-Match"],
)


@pytest.fixture
def made(store: DynamoStore, clock: Clock) -> DynamoStore:
    """Return the store with a key that was last written an hour ago."""
    store.etag = store.set("a", ONE).etag  # type: ignore[attr-defined]
    clock.go_on(LONG)
    return store


@each_write
def test_a_write_whose_answer_got_lost_is_answered_and_not_done_twice(
    made: DynamoStore, wire: Wire, write: Callable[[DynamoStore], object]
) -> None:
    wire.lose_answer("UpdateItem")

    record = write(made)

    assert (2, b"2") == (record.version, bytes(record.value))  # type: ignore[attr-defined]
    assert record.etag == made.get("a").etag  # type: ignore[attr-defined]


def test_a_set_whose_answer_got_lost_is_no_keyexists(store: DynamoStore, wire: Wire) -> None:
    wire.lose_answer("PutItem")

    record = store.set("a", ONE)

    assert (1, record.etag) == (record.version, store.get("a").etag)


def test_a_del_whose_answer_got_lost_is_no_keynotfound(made: DynamoStore, wire: Wire) -> None:
    wire.lose_answer("UpdateItem")

    made.delete("a")

    with pytest.raises(KeyNotFound):
        made.delete("a")


def test_a_del_with_if_match_whose_answer_got_lost_is_no_versionmismatch(
    made: DynamoStore, wire: Wire
) -> None:
    wire.lose_answer("UpdateItem")

    made.delete("a", if_match=(made.etag,))  # type: ignore[attr-defined]

    with pytest.raises(KeyNotFound):
        made.get("a")


def test_an_unsubs_whose_answer_got_lost_is_no_notsubscribed(made: DynamoStore, wire: Wire) -> None:
    made.subscribe("a")
    wire.lose_answer("UpdateItem")

    made.unsubscribe("a")

    with pytest.raises(NotSubscribed):
        made.unsubscribe("a")


@each_write
def test_a_write_that_was_lost_on_the_way_is_sent_again(
    made: DynamoStore, wire: Wire, write: Callable[[DynamoStore], object]
) -> None:
    wire.lose_both("UpdateItem")

    record = write(made)

    assert (2, b"2") == (record.version, bytes(record.value))  # type: ignore[attr-defined]


def test_a_set_that_was_lost_on_the_way_is_sent_again(store: DynamoStore, wire: Wire) -> None:
    wire.lose_both("PutItem")

    assert 1 == store.set("a", ONE).version


def test_a_del_that_was_lost_on_the_way_is_sent_again(made: DynamoStore, wire: Wire) -> None:
    wire.lose_both("UpdateItem")

    made.delete("a")

    with pytest.raises(KeyNotFound):
        made.get("a")


def test_an_increment_is_not_done_twice_where_another_write_hides_whether_it_was_done(
    made: DynamoStore, other: DynamoStore, wire: Wire
) -> None:
    wire.lose_answer("UpdateItem", then=lambda: other.increment("a", 10))

    with pytest.raises(EngineUnavailable, match="not known"):
        made.increment("a", 1)

    assert b"12" == bytes(made.get("a").value)


def test_a_set_that_another_delete_followed_is_not_done_again(
    store: DynamoStore, other: DynamoStore, wire: Wire
) -> None:
    wire.lose_answer("PutItem", then=lambda: other.delete("a"))

    with pytest.raises(EngineUnavailable):
        store.set("a", ONE)

    with pytest.raises(KeyNotFound):
        store.get("a")


def test_a_write_is_refused_for_what_others_wrote_and_not_for_what_it_wrote(
    made: DynamoStore, other: DynamoStore, wire: Wire, clock: Clock
) -> None:
    other.put("a", TWO)
    clock.go_on(LONG)
    wire.lose_both("UpdateItem")

    with pytest.raises(VersionMismatch):
        made.put("a", ONE, if_match=(made.etag,))  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [THROTTLED, (400, "ThrottlingException")])
def test_a_write_that_was_throttled_is_sent_again(
    made: DynamoStore, wire: Wire, error: tuple[int, str]
) -> None:
    wire.refuse("UpdateItem", *error)
    wire.lose_request("UpdateItem")
    wire.requests.clear()

    assert 2 == made.increment("a", 1).version
    assert ["UpdateItem"] * 3 == wire.requests


@pytest.mark.parametrize("error", [THROTTLED, BROKEN])
def test_a_read_is_sent_again_whatever_went_wrong(
    made: DynamoStore, wire: Wire, error: tuple[int, str]
) -> None:
    wire.refuse("GetItem", *error)
    wire.lose_both("GetItem")

    assert 1 == made.get("a").version


def test_a_write_that_dynamodb_broke_down_over_is_looked_for_before_it_is_sent_again(
    made: DynamoStore, wire: Wire
) -> None:
    wire.refuse("UpdateItem", *BROKEN)
    wire.requests.clear()

    assert 2 == made.put("a", TWO).version
    assert ["UpdateItem", "GetItem", "UpdateItem"] == wire.requests


@pytest.mark.parametrize(
    "verb",
    [
        lambda store: store.get("a"),
        lambda store: store.set("b", ONE),
        lambda store: store.delete("a"),
        lambda store: store.page("", 10, None),
        lambda store: store.subscriptions(10, None),
        lambda store: store.changes(None, 10),
    ],
    ids=["get", "set", "del", "getall", "suball", "changes"],
)
def test_what_stays_throttled_is_unavailable_after_four_attempts(
    made: DynamoStore, wire: Wire, verb: Callable[[DynamoStore], object]
) -> None:
    for operation in ("GetItem", "PutItem", "UpdateItem", "Query"):
        wire.throttle(operation)
    wire.requests.clear()

    with pytest.raises(EngineUnavailable) as caught:
        verb(made)

    assert {"Retry-After": "1"} == caught.value.headers
    assert 4 == len(wire.requests)


def test_no_request_begins_that_could_pass_the_time_a_verb_may_take(
    table: Table, store: DynamoStore, wire: Wire
) -> None:
    seconds = iter([0.0, 0.0, 5.5, 5.5])
    table._timer = lambda: next(seconds)
    wire.lose_both("GetItem")

    with pytest.raises(EngineUnavailable):
        store.get("a")

    assert ["GetItem"] == wire.requests


def test_a_batch_says_which_of_its_operations_were_done(made: DynamoStore, wire: Wire) -> None:
    operations = [{"op": "incr", "key": "a"}, {"op": "set", "key": "b", "value": 1}]
    body = msgspec.json.decode(json.dumps({"operations": operations * 2}), type=BatchBody)
    wire.throttle("UpdateItem", after=1)

    results = made.batch(body.operations, atomic=False)

    assert ["Record", "Record", "EngineUnavailable", "EngineUnavailable"] == [
        type(result).__name__ for result in results
    ]
    assert isinstance(results[3], KVError)
    assert results[3].message.startswith("not tried")


def test_an_atomic_batch_whose_answer_got_lost_is_done_once(made: DynamoStore, wire: Wire) -> None:
    operations = [{"op": "incr", "key": "a"}, {"op": "set", "key": "b", "value": 1}]
    body = msgspec.json.decode(json.dumps({"operations": operations}), type=BatchBody)
    wire.lose_answer("TransactWriteItems")

    results = made.batch(body.operations, atomic=True)

    assert [2, 1] == [getattr(result, "version", 0) for result in results]
    assert [2, 1] == [made.get(key).version for key in ("a", "b")]


def test_an_atomic_batch_that_another_write_came_into_is_done_on_the_new_state(
    made: DynamoStore, other: DynamoStore, wire: Wire
) -> None:
    body = msgspec.json.decode(b'{"operations":[{"op":"incr","key":"a"}]}', type=BatchBody)
    wire.do_first("TransactWriteItems", lambda: other.increment("a", 10))

    (result,) = made.batch(body.operations, atomic=True)

    assert b"12" == bytes(result.value)  # type: ignore[union-attr]


def test_a_refusal_is_understood_where_it_brings_no_item(
    made: DynamoStore, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = table.client.update_item

    def bring_nothing(**arguments: object) -> object:
        del arguments["ReturnValuesOnConditionCheckFailure"]
        return plain(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(table.client, "update_item", bring_nothing)

    first = made.put("a", TWO, token="same")
    again = made.put("a", ONE, token="same")

    assert (first.version, first.etag) == (again.version, again.etag)
    with pytest.raises(KeyExists):
        made.set("a", ONE)
    with pytest.raises(KeyNotFound):
        made.delete("missing")
