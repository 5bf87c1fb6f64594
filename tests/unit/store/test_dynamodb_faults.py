"""What callers see when DynamoDB is throttled, out of reach, or its answers get lost."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import msgspec
import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError

from handler.errors import (
    EngineUnavailable,
    KeyExists,
    KeyNotFound,
    KVError,
    NotSubscribed,
    VersionMismatch,
)
from handler.model import Record
from handler.operations import BatchBody, Get, Incr
from handler.store.dynamodb.engine import DynamoStore
from handler.store.dynamodb.table import Table
from tests import dynamodb
from tests.clock import Clock
from tests.dynamodb import Wire

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


@contextmanager
def failing(table: Table, error: Exception, times: int = 100) -> Iterator[None]:
    """Have the next requests fail, before they are sent."""
    rest = [error] * times

    def fail(**_: object) -> None:
        if rest:
            raise rest.pop()

    table.client.meta.events.register("before-call.dynamodb", fail)
    yield
    table.client.meta.events.unregister("before-call.dynamodb", fail)


def errors_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.levelno == logging.ERROR]


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


@each_write
def test_where_not_even_the_state_can_be_read_a_lost_answer_is_told_as_one(
    made: DynamoStore, wire: Wire, write: Callable[[DynamoStore], object]
) -> None:
    wire.lose_answer("UpdateItem")
    wire.throttle("GetItem")

    with pytest.raises(EngineUnavailable, match="not known"):
        write(made)


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


@pytest.mark.parametrize("metadata", [{}, {"ResponseMetadata": {"HTTPStatusCode": 400}}])
@pytest.mark.parametrize(
    "code",
    [
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "ServiceUnavailable",
        "Throttling",
        "TooManyRequestsException",
    ],
)
def test_what_may_pass_is_known_by_its_code_alone(
    made: DynamoStore, table: Table, code: str, metadata: dict[str, object]
) -> None:
    error = ClientError({"Error": {"Code": code}, **metadata}, "any")

    with failing(table, error), pytest.raises(EngineUnavailable) as caught:
        made.get("a")
    with failing(table, error, times=1):
        record = made.put("a", TWO)

    assert {"Retry-After": "1"} == caught.value.headers
    assert 2 == record.version


def test_credentials_that_can_not_be_fetched_for_now_make_it_unavailable(
    made: DynamoStore, table: Table, wire: Wire
) -> None:
    error = CredentialRetrievalError(provider="any", error_msg="as told")

    with failing(table, error), pytest.raises(EngineUnavailable):
        made.put("a", TWO)
    wire.requests.clear()
    with failing(table, error, times=1):
        assert 2 == made.put("a", TWO).version
    # Nothing had been sent, so there was nothing to look for.
    assert ["UpdateItem"] == wire.requests


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ClientError({"Error": {"Code": "ExpiredTokenException"}}, "any"), "credentials"),
        (ClientError({"Error": {"Code": "UnrecognizedClientException"}}, "any"), "credentials"),
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "any"), "role"),
        (NoCredentialsError(), "credentials"),
    ],
    ids=["expired", "unknown", "denied", "none"],
)
def test_credentials_that_no_longer_hold_make_it_unavailable_and_are_logged(
    made: DynamoStore,
    table: Table,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    reason: str,
) -> None:
    with failing(table, error), pytest.raises(EngineUnavailable, match=reason):
        made.put("a", TWO)

    assert [True] == [reason in each.getMessage() for each in errors_of(caplog)]


def test_a_table_that_was_deleted_makes_it_unavailable_and_is_named(
    made: DynamoStore, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    other = dynamodb.open_table(dynamodb.make_table())
    other.client.delete_table(TableName=other.name)

    with pytest.raises(EngineUnavailable, match=f"KV_TABLE is '{other.name}': there is no such"):
        DynamoStore(other).get("a")

    assert [True] == [other.name in each.getMessage() for each in errors_of(caplog)]


@pytest.mark.parametrize("error", [THROTTLED, BROKEN, (502, "any")])
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


def test_a_batch_doubts_the_one_whose_answer_got_lost_and_none_after_it(
    made: DynamoStore, wire: Wire
) -> None:
    wire.lose_answer("UpdateItem")
    wire.throttle("GetItem")

    results = made.batch([Incr("a"), Incr("b")], atomic=False)

    not_known = "whether this was done is not known: the answer to it got lost"
    assert [not_known, f"not tried, as one before it failed with '{not_known}'"] == [
        getattr(result, "message", "") for result in results
    ]


def test_a_batch_names_what_is_wrong_with_an_operation_also_where_it_is_not_tried(
    made: DynamoStore, wire: Wire
) -> None:
    operations = [
        {"op": "incr", "key": "a"},
        {"op": "get", "key": "a"},
        {"op": "get", "key": "a//b"},
        {"op": "set", "key": "", "value": 1},
        {"op": "put", "key": "a", "value": "x" * 400_000},
        {"op": "del", "key": "a", "if_match": '"'},
        {"op": "del", "key": "a"},
    ]
    body = msgspec.json.decode(json.dumps({"operations": operations}), type=BatchBody)
    wire.throttle("UpdateItem")
    wire.requests.clear()

    results = made.batch(body.operations, atomic=False)

    unavailable = "EngineUnavailable"
    assert [
        *(unavailable, unavailable, "InvalidKey", "InvalidKey", "ValueTooLarge"),
        *("InvalidRequest", unavailable),
    ] == [type(result).__name__ for result in results]
    assert ["UpdateItem"] * 4 == wire.requests


def test_after_a_batch_that_gave_up_the_next_request_is_tried(
    made: DynamoStore, wire: Wire
) -> None:
    wire.throttle("BatchGetItem")
    made.batch([Get("a"), Incr("a")], atomic=False)

    assert 2 == made.increment("a", 1).version


def test_a_batch_that_has_no_time_left_says_so(made: DynamoStore, table: Table) -> None:
    seconds = count(0, 0.5)
    table._timer = lambda: next(seconds)

    results = made.batch([Incr("a")] * 30, atomic=False)

    done = made.get("a").version - 1
    assert 0 < done < 30
    assert [Record] * done == [type(result) for result in results[:done]]
    for result in results[done:]:
        assert isinstance(result, EngineUnavailable)
        assert "no time was left" in result.message


def test_an_atomic_batch_whose_answer_got_lost_is_done_once(made: DynamoStore, wire: Wire) -> None:
    operations = [{"op": "incr", "key": "a"}, {"op": "set", "key": "b", "value": 1}]
    body = msgspec.json.decode(json.dumps({"operations": operations}), type=BatchBody)
    wire.lose_answer("TransactWriteItems")

    results = made.batch(body.operations, atomic=True)

    assert [2, 1] == [getattr(result, "version", 0) for result in results]
    assert [2, 1] == [made.get(key).version for key in ("a", "b")]


def test_an_atomic_batch_whose_answer_stays_lost_is_told_as_one_that_may_be_done(
    made: DynamoStore, wire: Wire
) -> None:
    wire.lose_answer("TransactWriteItems")
    wire.throttle("TransactWriteItems")

    with pytest.raises(EngineUnavailable, match="not known"):
        made.batch([Incr("a")], atomic=True)

    assert 2 == made.get("a").version


def test_an_atomic_batch_that_stays_throttled_is_told_as_not_done(
    made: DynamoStore, wire: Wire
) -> None:
    wire.throttle("TransactWriteItems")

    with pytest.raises(EngineUnavailable, match="try again"):
        made.batch([Incr("a")], atomic=True)


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
