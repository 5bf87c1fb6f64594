"""The subscribed keys and the changes feed on DynamoDB, whose indexes trail."""

from collections.abc import Callable
from secrets import token_hex

import msgspec
import pytest

from handler.cursor import Cursors
from handler.errors import InvalidCursor
from handler.model import Change
from handler.operations import Set
from handler.store.dynamodb import watching
from handler.store.dynamodb.engine import DynamoStore
from handler.store.dynamodb.items import CHANGES_INDEX, SHARDS, change_mark, primary_key, shard_of
from handler.store.dynamodb.table import Table
from tests.clock import Clock
from tests.dynamodb import Wire

ONE = msgspec.Raw(b"1")
TWO = msgspec.Raw(b"2")
THREE = msgspec.Raw(b"3")


def have(store: DynamoStore, *keys: str) -> None:
    for key in keys:
        store.set(key, ONE)
        store.subscribe(key)


def now(store: DynamoStore) -> str:
    return store.changes(None, 1)[1]


def told(changes: list[Change]) -> list[tuple[str, str, int, bytes]]:
    return [(each.key, each.op, each.version, bytes(each.value)) for each in changes]


@pytest.fixture
def trailing(table: Table, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the keys whose changes the index does not show yet."""
    keys: set[str] = set()
    whole = table.query

    def query(start: object, **arguments: object) -> object:
        items, following = whole(start, **arguments)  # type: ignore[arg-type]
        if arguments.get("IndexName") == CHANGES_INDEX:
            items = [item for item in items if item["sk"]["S"] not in keys]
        return items, following

    monkeypatch.setattr(table, "query", query)
    return keys


def test_a_change_is_told_once(store: DynamoStore, clock: Clock) -> None:
    have(store, "a", "b")
    cursor = now(store)
    store.put("a", TWO)

    first, cursor = store.changes(cursor, 10)
    clock.go_on(5)
    store.increment("b", 4)
    second, cursor = store.changes(cursor, 10)
    clock.go_on(60)
    third, _ = store.changes(cursor, 10)

    assert [("a", "put", 2, b"2")] == told(first)
    assert [("b", "put", 2, b"5")] == told(second)
    assert [] == third


def test_what_was_before_the_cursor_of_now_is_not_told(store: DynamoStore) -> None:
    have(store, "a")
    store.put("a", TWO)

    assert [] == store.changes(now(store), 10)[0]


def test_a_change_that_the_index_shows_late_is_told(
    store: DynamoStore, clock: Clock, trailing: set[str]
) -> None:
    have(store, "a", "b")
    cursor = now(store)
    trailing.add("a")
    store.put("a", TWO)
    clock.go_on(1)
    store.put("b", TWO)

    first, cursor = store.changes(cursor, 10)
    clock.go_on(20)
    trailing.clear()
    second, cursor = store.changes(cursor, 10)

    assert [("b", "put", 2, b"2")] == told(first)
    assert [("a", "put", 2, b"2")] == told(second)


def test_a_change_by_a_clock_that_is_behind_is_told(
    store: DynamoStore, table: Table, clock: Clock
) -> None:
    slow = Clock()
    have(store, "a", "b")
    clock.go_on(3)
    store.put("a", TWO)
    _, cursor = store.changes(now(store), 10)

    DynamoStore(table, clock=slow).put("b", TWO)

    assert [("b", "put", 2, b"2")] == told(store.changes(cursor, 10)[0])


def test_a_change_tells_the_state_of_the_table_and_not_of_the_index(
    store: DynamoStore, trailing: set[str]
) -> None:
    have(store, "a")
    cursor = now(store)
    store.put("a", TWO)
    changes, _ = store.changes(cursor, 10)
    store.put("a", THREE)

    assert [("a", "put", 3, b"3")] == told(store.changes(cursor, 10)[0])
    assert changes[0].etag != store.get("a").etag


def test_changes_over_many_pages_are_each_told_once_and_in_order(
    store: DynamoStore, clock: Clock
) -> None:
    keys = [f"key-{number}" for number in range(12)]
    have(store, *keys)
    cursor = now(store)
    for key in keys:
        clock.go_on(4)
        store.put(key, TWO)

    seen = []
    for _ in range(7):
        changes, cursor = store.changes(cursor, 2)
        seen += [change.key for change in changes]

    assert keys == seen


@pytest.fixture
def burst(
    store: DynamoStore, clock: Clock, trailing: set[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Have ten keys change at once, of which a cursor can mark three, and the index hides two.

    Return the cursor after that.
    """
    monkeypatch.setattr(watching, "_MOST_MARKS", 3)
    keys = [f"key-{number}" for number in range(10)]
    have(store, *keys)
    cursor = now(store)
    trailing |= {"key-2", "key-8"}
    for key in keys:
        clock.go_on(0.001)
        store.put(key, TWO)
    changes, cursor = store.changes(cursor, 10)
    assert [key for key in keys if key not in trailing] == [change.key for change in changes]
    return cursor


def test_a_burst_over_what_a_cursor_can_mark_is_told_at_once_and_its_beginning_once_more(
    store: DynamoStore, clock: Clock, burst: str, trailing: set[str]
) -> None:
    at_once, cursor = store.changes(burst, 10)
    clock.go_on(10)
    have(store, "b")
    store.put("b", TWO)
    meanwhile, cursor = store.changes(cursor, 10)
    clock.go_on(21)
    later, cursor = store.changes(cursor, 10)
    clock.go_on(31)

    assert [] == at_once
    assert ["b"] == [change.key for change in meanwhile]
    assert ["key-0", "key-1", "key-3", "key-4", "key-5", "key-6"] == [each.key for each in later]
    assert [] == store.changes(cursor, 10)[0]


def test_the_cursor_of_now_reads_no_more_of_a_burst_than_it_can_mark(
    store: DynamoStore, wire: Wire, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_MOST_MARKS", 3)
    keys = [f"key-{number}" for number in range(40)]
    have(store, *keys)
    for key in keys:
        store.put(key, TWO)
    clock.go_on(1)
    wire.requests.clear()

    cursor = now(store)

    assert ["Query"] * len(SHARDS) == wire.requests
    store.put("key-0", THREE)
    assert [("key-0", "put", 3, b"3")] == told(store.changes(cursor, 100)[0])


def test_a_change_that_comes_late_into_a_burst_is_told(
    store: DynamoStore, clock: Clock, burst: str, trailing: set[str]
) -> None:
    trailing.clear()

    among_the_marked, cursor = store.changes(burst, 10)
    clock.go_on(31)
    seen = []
    for _ in range(8):
        changes, cursor = store.changes(cursor, 1)
        seen += [change.key for change in changes]

    assert ["key-8"] == [change.key for change in among_the_marked]
    assert [f"key-{number}" for number in range(7)] == seen
    assert [] == store.changes(cursor, 10)[0]


def test_changes_that_go_on_past_what_a_cursor_can_mark_are_each_told_at_once(
    store: DynamoStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_MOST_MARKS", 3)
    keys = [f"key-{number:02}" for number in range(16)]
    have(store, *keys)
    cursor = now(store)
    seen: list[str] = []
    for key in keys:
        clock.go_on(5)
        store.put(key, TWO)
        changes, cursor = store.changes(cursor, 10)
        assert key == changes[-1].key
        seen += [change.key for change in changes[:-1]]

    # Those of the last half minute are to come once more.
    assert keys[:9] == seen


def test_450_changes_are_told_at_once_and_their_cursor_leaves_room_in_a_request(
    store: DynamoStore, table: Table
) -> None:
    have(store, "a")
    cursor = now(store)
    change = store.put("a", TWO)
    subscribed = table.read("a")
    assert subscribed is not None
    keys = [f"key-{number:03}" for number in range(450)]
    puts = [
        {
            **subscribed,
            **primary_key(key),
            "watched": {"S": shard_of(key)},
            "feed": {"S": shard_of(key)},
            "changed": {"S": change_mark(change.updated_at, "put", token_hex(8))},
        }
        for key in keys
    ]
    for start in range(0, 450, 25):
        some = [{"PutRequest": {"Item": item}} for item in puts[start : start + 25]]
        table.client.batch_write_item(RequestItems={table.name: some})

    changes, cursor = store.changes(cursor, 1000)

    assert ["a", *keys] == sorted(change.key for change in changes)
    assert [] == store.changes(cursor, 1000)[0]
    # An HTTP API takes 10,240 bytes of request line and header fields; signatures are long, too.
    assert len(cursor) < 5000


def test_changes_whose_etags_are_nearly_alike_are_told_apart(
    store: DynamoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(store, "a", "b")
    cursor = now(store)
    # The first 44 bits are the same.
    etags = iter(["0123456789a00000", "0123456789a10000"])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(etags))
    store.put("a", TWO)
    _, cursor = store.changes(cursor, 10)
    store.put("b", TWO)

    assert ["b"] == [change.key for change in store.changes(cursor, 10)[0]]


def test_a_delete_is_told_also_when_the_key_was_set_and_written_anew(store: DynamoStore) -> None:
    have(store, "a")
    cursor = now(store)
    store.put("a", TWO)
    store.delete("a")
    store.set("a", ONE)
    store.put("a", TWO)

    assert [("a", "del", 2, b"null")] == told(store.changes(cursor, 10)[0])


def test_a_delete_has_an_etag_of_its_own(store: DynamoStore) -> None:
    have(store, "a")
    cursor = now(store)
    put = store.put("a", TWO)
    store.delete("a")

    (change,) = store.changes(cursor, 10)[0]

    assert put.etag != change.etag


def test_writes_of_a_key_that_nobody_subscribes_to_are_not_told(store: DynamoStore) -> None:
    have(store, "a", "b")
    store.set("c", ONE)
    store.delete("b")
    store.set("b", ONE)
    store.unsubscribe("a")
    cursor = now(store)
    for key in ("a", "b", "c"):
        store.put(key, TWO)
        store.increment(key, 1)
        store.delete(key)

    assert [] == store.changes(cursor, 10)[0]


def test_subs_itself_is_no_change(store: DynamoStore) -> None:
    store.set("a", ONE)
    cursor = now(store)
    store.put("a", TWO)
    store.subscribe("a")
    store.unsubscribe("a")
    store.subscribe("a")

    assert [] == store.changes(cursor, 10)[0]


def test_a_change_is_told_also_after_unsubs_and_subs(store: DynamoStore) -> None:
    have(store, "a")
    cursor = now(store)
    store.put("a", TWO)
    store.unsubscribe("a")
    store.subscribe("a")
    store.subscribe("a")

    assert [("a", "put", 2, b"2")] == told(store.changes(cursor, 10)[0])


def test_a_deletion_after_unsubs_is_told_as_the_state_that_the_change_came_to(
    store: DynamoStore,
) -> None:
    have(store, "a")
    cursor = now(store)
    store.put("a", TWO)
    store.unsubscribe("a")
    store.delete("a")

    assert [("a", "del", 2, b"null")] == told(store.changes(cursor, 10)[0])


def test_of_a_key_that_is_subscribed_again_the_state_of_now_is_told(store: DynamoStore) -> None:
    have(store, "a", "b")
    cursor = now(store)
    store.put("a", TWO)
    store.unsubscribe("a")
    store.put("a", THREE)
    store.subscribe("a")
    store.delete("b")
    store.set("b", THREE)
    store.subscribe("b")

    told_now = sorted(told(store.changes(cursor, 10)[0]))
    assert [("a", "put", 3, b"3"), ("b", "put", 1, b"3")] == told_now


@pytest.mark.parametrize(
    "end",
    [
        lambda store, _: store.delete("a"),
        lambda _, clock: clock.go_on(10),
        lambda store, clock: (store.unsubscribe("a"), clock.go_on(10)),
    ],
    ids=["deleted", "expired", "unsubscribed and expired"],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda store: store.set("a", THREE),
        lambda store: store.put("a", THREE, create=True),
        lambda store: store.increment("a", 3),
        lambda store: store.batch([Set("a", THREE)], atomic=True),
    ],
    ids=["set", "put", "incr", "atomic batch"],
)
def test_of_a_record_whose_place_another_took_it_is_told_that_it_is_gone(
    store: DynamoStore,
    clock: Clock,
    end: Callable[[DynamoStore, Clock], object],
    make: Callable[[DynamoStore], object],
) -> None:
    have(store, "a")
    cursor = now(store)
    store.put("a", TWO, ttl=10)
    end(store, clock)
    for _ in range(2):
        make(store)
        store.put("a", TWO)
        store.delete("a")
    make(store)

    assert [("a", "del", 2, b"null")] == told(store.changes(cursor, 10)[0])


@pytest.mark.parametrize(
    "end",
    [lambda store, _: store.delete("a"), lambda _, clock: clock.go_on(10)],
    ids=["deleted", "expired"],
)
@pytest.mark.parametrize("create", [False, True])
def test_what_became_of_a_record_that_nobody_was_subscribed_to_is_not_told(
    store: DynamoStore, clock: Clock, end: Callable[[DynamoStore, Clock], object], *, create: bool
) -> None:
    if not create:
        store.set("a", ONE)
    store.put("a", TWO, ttl=10, create=create)
    end(store, clock)
    store.set("a", ONE)
    cursor = now(store)
    store.subscribe("a")

    assert [] == store.changes(cursor, 10)[0]


def test_a_record_made_anew_between_a_look_and_a_set_is_not_written_over(
    store: DynamoStore, other: DynamoStore, wire: Wire
) -> None:
    have(store, "a")
    cursor = now(store)
    store.delete("a")

    def come_between() -> None:
        have(other, "a")
        other.put("a", TWO)
        other.put("a", TWO)
        other.delete("a")

    wire.do_first("UpdateItem", come_between)
    store.set("a", ONE)

    assert [("a", "del", 3, b"null")] == told(store.changes(cursor, 10)[0])


def test_a_cursor_lives_for_23_hours(store: DynamoStore, clock: Clock) -> None:
    have(store, "a")
    cursor = now(store)
    store.put("a", TWO)

    clock.go_on(22 * 3600)
    assert [("a", "put", 2, b"2")] == told(store.changes(cursor, 10)[0])

    clock.go_on(3600)
    with pytest.raises(InvalidCursor, match="too old"):
        store.changes(cursor, 10)


def test_a_cursor_of_another_table_is_invalid(store: DynamoStore) -> None:
    foreign = Cursors(b"another").seal("changes", "2026-11-24T20:55:43.123Z|")

    with pytest.raises(InvalidCursor):
        store.changes(foreign, 10)


def test_a_cursor_holds_in_every_environment(store: DynamoStore, other: DynamoStore) -> None:
    have(store, "a", "b", "c")
    page = store.page("", 1, None)
    subscribed = store.subscriptions(1, None)
    cursor = now(store)
    store.put("a", TWO)

    assert ["b", "c"] == [item.key for item in other.page("", 10, page.cursor).items]
    assert ["b", "c"] == other.subscriptions(10, subscribed.cursor).items
    assert [("a", "put", 2, b"2")] == told(other.changes(cursor, 10)[0])


def test_suball_has_no_key_that_expired_or_was_deleted(store: DynamoStore, clock: Clock) -> None:
    have(store, "a", "b", "c")
    store.put("a", ONE, ttl=10)
    store.delete("b")
    clock.go_on(10)

    assert ["c"] == store.subscriptions(10, None).items


def test_expiry_ends_a_subscription(store: DynamoStore, clock: Clock) -> None:
    have(store, "a")
    store.put("a", ONE, ttl=10)
    clock.go_on(10)
    cursor = now(store)

    assert not store.set("a", ONE).subscribed
    store.put("a", TWO)

    assert [] == store.changes(cursor, 10)[0]
    assert [] == store.subscriptions(10, None).items
