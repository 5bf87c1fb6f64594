"""The DynamoDB engine: what is its own beside what the contract's cases hold every engine to."""

import random
from base64 import b64encode

import msgspec
import pytest

from handler.errors import KeyExists, KeyNotFound, KVError, NotACounter, VersionMismatch
from handler.model import Record
from handler.operations import Del, Get, Incr, Operation, Put, Set, Subs, Unsubs
from handler.preconditions import ANY
from handler.store.dynamodb.engine import DynamoStore
from handler.store.dynamodb.items import KEPT, primary_key
from handler.store.dynamodb.table import Table
from tests.clock import Clock
from tests.dynamodb import Wire

ONE = msgspec.Raw(b"1")
TWO = msgspec.Raw(b"2")
TOP = 2**63 - 1


def value(record: Record) -> bytes:
    return bytes(record.value)


@pytest.fixture
def expired(store: DynamoStore, clock: Clock) -> DynamoStore:
    """Return the store with a key that expired and was not swept: 5, at version 2."""
    store.set("a", ONE, ttl=10, token="token")
    store.put("a", msgspec.Raw(b"5"), token="token")
    store.subscribe("a")
    clock.go_on(10)
    return store


@pytest.mark.parametrize("if_match", [None, (ANY,)])
def test_an_expired_key_is_absent_to_every_verb_that_needs_one(
    expired: DynamoStore, if_match: tuple[str, ...] | None
) -> None:
    for verb in (
        lambda: expired.get("a"),
        lambda: expired.put("a", ONE, if_match=if_match, token="token"),
        lambda: expired.delete("a", if_match=if_match),
        lambda: expired.subscribe("a"),
        lambda: expired.unsubscribe("a"),
    ):
        with pytest.raises(KeyNotFound):
            verb()
    with pytest.raises(VersionMismatch):
        expired.put("a", ONE, if_match=(ANY,), create=True)


def test_set_on_an_expired_key_makes_a_new_record(expired: DynamoStore, clock: Clock) -> None:
    record = expired.set("a", ONE, token="token")

    assert (1, None, False) == (record.version, record.expires_at, record.subscribed)
    assert record.created_at == record.updated_at
    assert b"1" == value(expired.get("a"))


def test_put_with_create_on_an_expired_key_makes_a_new_record(expired: DynamoStore) -> None:
    record = expired.put("a", TWO, create=True)

    assert (1, None, False) == (record.version, record.expires_at, record.subscribed)
    assert record.created_at == record.updated_at


def test_incr_on_an_expired_key_starts_at_0(expired: DynamoStore) -> None:
    record = expired.increment("a", 3, token="token")

    assert (1, b"3", None) == (record.version, value(record), record.expires_at)


def test_expired_keys_are_in_no_page_and_no_batch(expired: DynamoStore, clock: Clock) -> None:
    expired.set("b", ONE)

    results = expired.batch([Get("a"), Get("b")], atomic=False)

    assert ["b"] == [item.key for item in expired.page("", 10, None).items]
    assert [KeyNotFound, Record] == [type(result) for result in results]


@pytest.mark.parametrize("atomic", [False, True])
def test_a_batch_makes_expired_keys_anew(expired: DynamoStore, *, atomic: bool) -> None:
    (result,) = expired.batch([Set("a", ONE)], atomic=atomic)

    assert isinstance(result, Record)
    assert (1, False) == (result.version, result.subscribed)
    assert b"1" == value(expired.get("a"))


def test_many_deleted_keys_in_a_row_take_few_requests(store: DynamoStore, wire: Wire) -> None:
    for number in range(100):
        store.set(f"a-{number}", ONE)
        store.delete(f"a-{number}")
    store.set("b", ONE)
    wire.requests.clear()

    assert ["b"] == [item.key for item in store.page("", 1, None).items]
    assert len(wire.requests) <= 8 * 4


@pytest.mark.parametrize(
    ("start", "by", "end"),
    [
        ("0", TOP, TOP),
        (str(TOP), -TOP - 1, -1),
        (str(-TOP - 1), TOP, -1),
        (str(TOP - 1), 1, TOP),
        (str(TOP + 1), -1, TOP),
        ("-0", 5, 5),
    ],
)
def test_incr_is_exact_over_64_bits(store: DynamoStore, start: str, by: int, end: int) -> None:
    store.set("a", msgspec.Raw(start.encode()))

    assert str(end).encode() == value(store.increment("a", by)) == value(store.get("a"))


@pytest.mark.parametrize(
    ("start", "by"), [(str(TOP), 1), (str(-TOP - 1), -1), (str(TOP + 1), 0), (str(-TOP), -TOP)]
)
def test_incr_does_not_leave_64_bits(store: DynamoStore, start: str, by: int) -> None:
    store.set("a", msgspec.Raw(start.encode()))

    with pytest.raises(NotACounter):
        store.increment("a", by)

    assert start.encode() == value(store.get("a"))


@pytest.mark.parametrize("text", ["1.0", "1e3", '"1"', "null", "12345678901234567890", "[1]"])
def test_incr_takes_whole_numbers_only(store: DynamoStore, text: str) -> None:
    store.set("a", ONE)
    store.put("a", msgspec.Raw(text.encode()))

    with pytest.raises(NotACounter):
        store.increment("a", 1)


@pytest.mark.parametrize(
    "text", ["-0", "7", "1.10", "12345678901234567890", '"é🗝\\ud800"', f'"{"long " * 900}"', "{}"]
)
def test_a_value_comes_back_as_it_was_sent_whatever_was_there_before(
    store: DynamoStore, text: str
) -> None:
    store.set("a", msgspec.Raw(b'"' + b"x" * 2000 + b'"'))
    raw = msgspec.Raw(text.encode())

    assert text.encode() == value(store.put("a", raw)) == value(store.get("a"))
    assert text.encode() == value(store.page("", 10, None).items[0])


def test_a_value_is_packed_only_where_that_saves_a_quarter_of_it(
    store: DynamoStore, table: Table
) -> None:
    # Base64 has 6 bits in each character, so that it can't become shorter by a quarter.
    barely = f'"{b64encode(random.Random(1).randbytes(3000)).decode()}"'
    well = "[" + "123456789," * 300 + "0]"
    store.set("barely", msgspec.Raw(barely.encode()))
    store.set("well", msgspec.Raw(well.encode()))

    items = {key: table.read(key) or {} for key in ("barely", "well")}

    assert {"barely": True, "well": False} == {key: "json" in items[key] for key in items}
    assert barely.encode() == value(store.get("barely"))
    assert well.encode() == value(store.get("well"))


def test_two_values_of_384_kib_follow_each_other(store: DynamoStore) -> None:
    store.set("a", msgspec.Raw(b'"' + b"x" * 393_214 + b'"'))
    store.put("a", msgspec.Raw(b'"' + b"y" * 393_214 + b'"'))

    assert b'"yy' == value(store.get("a"))[:3]


def test_dynamodb_may_remove_an_item_a_day_after_it_expired(
    store: DynamoStore, table: Table, clock: Clock
) -> None:
    end = int((clock.now + KEPT).timestamp())
    store.set("a", ONE, ttl=100)
    store.set("b", ONE)
    store.delete("b")
    store.set("c", ONE, ttl=100)
    store.put("c", ONE, ttl=None)

    times = {key: (table.read(key) or {}).get("sweep_at", {}).get("N") for key in "abc"}

    assert {"a": str(end + 100), "b": str(end), "c": None} == times


def test_the_token_of_the_last_write_is_recognised(store: DynamoStore) -> None:
    first = store.set("a", ONE, token="one")
    assert first.etag == store.set("a", TWO, token="one").etag

    second = store.put("a", TWO, token="two")
    assert second.etag == store.put("a", ONE, if_match=("other",), token="two").etag

    third = store.increment("a", 1, token="three")
    assert third.etag == store.increment("a", 1, token="three").etag
    assert 3 == store.get("a").version
    with pytest.raises(KeyExists):
        store.set("a", TWO, token="one")


def test_an_if_match_that_names_no_strong_etag_matches_nothing(store: DynamoStore) -> None:
    store.set("a", ONE)

    with pytest.raises(VersionMismatch):
        store.put("a", TWO, if_match=())


def test_no_etag_comes_back_when_a_key_is_made_anew(store: DynamoStore) -> None:
    first = store.set("a", ONE)
    store.delete("a")
    second = store.set("a", ONE)

    assert first.etag != second.etag
    with pytest.raises(VersionMismatch):
        store.delete("a", if_match=(first.etag,))


def test_an_atomic_batch_answers_the_records_that_it_leaves(
    store: DynamoStore, clock: Clock
) -> None:
    for key in ("put", "get", "del", "incr", "subs", "unsubs"):
        store.set(key, ONE, ttl=100)
        store.subscribe(key)
    store.unsubscribe("subs")
    clock.go_on(1)
    operations: list[Operation] = [
        Set("set", TWO, 50),
        Put("put", TWO),
        Put("new", TWO, create=True),
        Get("get"),
        Del("del"),
        Incr("incr", 5),
        Subs("subs"),
        Unsubs("unsubs"),
    ]

    results = store.batch(operations, atomic=True)

    for operation, result in zip(operations, results, strict=True):
        assert not isinstance(result, KVError)
        if result is not None:
            assert msgspec.json.encode(store.get(operation.key)) == msgspec.json.encode(result)
    with pytest.raises(KeyNotFound):
        store.get("del")
    assert ["get", "incr", "put", "subs"] == store.subscriptions(10, None).items


@pytest.mark.parametrize("prefix", ["x" * 1025, "\ud800"])
def test_no_key_begins_with_what_no_key_holds(store: DynamoStore, wire: Wire, prefix: str) -> None:
    assert ([], None) == store.page(prefix, 10, None)
    assert [] == wire.requests


def test_keys_are_ordered_by_their_bytes_over_all_shards(store: DynamoStore) -> None:
    keys = ["a", "a!", "a/b", "aa", "b", "é", "鍵", "\uffee", "🗝"]
    for key in reversed(keys):
        store.set(key, ONE)
    seen: list[str] = []
    cursor = None
    while True:
        page = store.page("", 2, cursor)
        seen += [item.key for item in page.items]
        cursor = page.cursor
        if cursor is None:
            break

    assert keys == seen


def test_status_tells_what_the_engine_knows(table: Table, clock: Clock) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:changes"

    status = DynamoStore(table, topic, clock).status()

    assert ("dynamodb", None, topic) == (status.engine, status.instance, status.topic)
    assert [None] * 4 == [status.keys, status.bytes, status.max_bytes, status.subscriptions]


def test_a_key_stays_in_the_shard_that_its_first_record_went_to() -> None:
    assert {"pk": {"S": "6"}, "sk": {"S": "a"}} == primary_key("a")
