"""The memory engine under a clock of the test's own."""

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from handler.errors import (
    InvalidCursor,
    KeyExists,
    KeyNotFound,
    KVError,
    NotACounter,
    NotSubscribed,
    StoreFull,
    VersionMismatch,
)
from handler.model import Record
from handler.operations import BatchBody, Operation
from handler.store.memory.engine import MemoryStore
from tests.clock import Clock

ONE = msgspec.Raw(b"1")
TWO = msgspec.Raw(b"2")
TEXT = msgspec.Raw(b'"text"')


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(1_000_000, clock)


def _operations(*operations: dict[str, Any]) -> list[Operation]:
    return msgspec.json.decode(json.dumps({"operations": operations}), type=BatchBody).operations


def _everything(store: MemoryStore) -> tuple[object, ...]:
    """Return all that callers can see of a store."""
    status = store.status()
    keys = store.subscriptions(1000, None).items
    return store.page("", 1000, None).items, keys, status.bytes, status.keys, status.subscriptions


def test_times_are_those_of_the_clock(store: MemoryStore, clock: Clock) -> None:
    store.set("a", ONE)
    clock.go_on(1.5)

    record = store.put("a", TWO, ttl=10)

    assert ("2026-11-24T20:55:43.123Z", "2026-11-24T20:55:44.623Z", "2026-11-24T20:55:54.623Z") == (
        record.created_at,
        record.updated_at,
        record.expires_at,
    )


def test_a_record_is_there_until_the_millisecond_of_its_expiry(
    store: MemoryStore, clock: Clock
) -> None:
    store.set("a", ONE, ttl=1)
    clock.go_on(0.999)
    record = store.get("a")
    clock.go_on(0.001)

    assert ONE == record.value
    with pytest.raises(KeyNotFound):
        store.get("a")


def test_a_put_that_leaves_the_expiry_does_not_prolong_it(store: MemoryStore, clock: Clock) -> None:
    store.set("a", ONE, ttl=10)
    clock.go_on(9)
    store.put("a", TWO)
    clock.go_on(1)

    with pytest.raises(KeyNotFound):
        store.get("a")


def test_a_listing_leaves_out_what_has_expired_though_nothing_swept_it(
    store: MemoryStore, clock: Clock
) -> None:
    store.set("a", ONE, ttl=1)
    store.set("b", ONE, ttl=2)
    for key in "ab":
        store.subscribe(key)
    clock.go_on(1)

    assert ["b"] == [record.key for record in store.page("", 10, None).items]
    assert ["b"] == store.subscriptions(10, None).items


def test_a_write_sweeps_some_of_what_has_expired(store: MemoryStore, clock: Clock) -> None:
    for number in range(20):
        store.set(f"old/{number}", ONE, ttl=1)
    clock.go_on(1)

    for number in range(3):
        store.set(f"new/{number}", ONE)

    assert 3 == len(store._records)


def test_status_counts_no_expired_record(store: MemoryStore, clock: Clock) -> None:
    store.set("old", ONE, ttl=1)
    store.subscribe("old")
    store.set("é", TEXT)
    clock.go_on(1)

    status = store.status()

    assert (1, 2 + 6, 0) == (status.keys, status.bytes, status.subscriptions)


def test_a_write_beyond_max_bytes_is_refused_and_changes_nothing(clock: Clock) -> None:
    store = MemoryStore(10, clock)
    store.set("a", msgspec.Raw(b"1" * 9))
    before = _everything(store)

    with pytest.raises(StoreFull, match="10 of 10 bytes"):
        store.set("b", ONE)
    with pytest.raises(StoreFull):
        store.put("a", msgspec.Raw(b"1" * 10))
    with pytest.raises(StoreFull):
        store.increment("counter", 1)
    assert before == _everything(store)


def test_a_full_store_goes_on_with_reads_deletes_and_writes_that_do_not_grow(clock: Clock) -> None:
    store = MemoryStore(10, clock)
    store.set("a", msgspec.Raw(b"1" * 9))

    store.put("a", msgspec.Raw(b"2" * 9))
    store.put("a", ONE)

    assert ONE == store.get("a").value
    store.delete("a")
    assert 0 == store.status().bytes


def test_a_full_store_takes_back_what_expired_before_it_refuses(clock: Clock) -> None:
    store = MemoryStore(100, clock)
    for number in range(30):
        store.set(f"{number}", ONE, ttl=1)
    clock.go_on(1)

    assert 99 == len(bytes(store.set("b", msgspec.Raw(b"1" * 99)).value))


def test_bytes_are_those_of_keys_and_values_in_utf_8(store: MemoryStore) -> None:
    store.set("é", msgspec.Raw('"鍵"'.encode()))

    assert 2 + 5 == store.status().bytes


def test_a_token_answers_again_what_it_wrote(store: MemoryStore) -> None:
    record = store.set("a", ONE, token="t")

    assert record == store.set("a", ONE, token="t")
    with pytest.raises(KeyExists):
        store.set("a", ONE, token="u")
    with pytest.raises(KeyExists):
        store.set("a", ONE)


def test_a_token_outlives_a_subscription_but_no_write(store: MemoryStore) -> None:
    store.increment("a", 1, token="t")
    store.subscribe("a")
    again = store.increment("a", 1, token="t")
    store.put("a", ONE)

    assert (1, 3) == (again.version, store.increment("a", 1, token="t").version)


def test_a_token_is_recognised_before_its_precondition_is_asked(store: MemoryStore) -> None:
    etag = store.set("a", ONE).etag
    record = store.put("a", TWO, if_match=(etag,), token="t")

    assert record == store.put("a", TWO, if_match=(etag,), token="t")
    with pytest.raises(VersionMismatch):
        store.put("a", TWO, if_match=(etag,), token="u")


def test_a_token_goes_with_its_record(store: MemoryStore, clock: Clock) -> None:
    first = store.set("a", ONE, ttl=1, token="t")
    clock.go_on(1)
    second = store.set("a", ONE, token="t")
    store.delete("a")
    third = store.set("a", ONE, token="t")

    assert 3 == len({first.etag, second.etag, third.etag})


def test_etags_of_two_stores_differ(clock: Clock) -> None:
    etags = {MemoryStore(100, clock).set("a", ONE).etag for _ in range(10)}

    assert 10 == len(etags)


def test_the_feed_reports_writes_of_subscribed_keys(store: MemoryStore) -> None:
    store.set("a", ONE)
    store.set("b", ONE)
    store.subscribe("a")
    _, cursor = store.changes(None, 10)

    put = store.put("a", TWO)
    store.put("b", TWO)

    changes, _ = store.changes(cursor, 10)
    assert [("a", "put", 2, put.etag, TWO, put.updated_at)] == [
        (each.key, each.op, each.version, each.etag, each.value, each.at) for each in changes
    ]


def test_a_delete_has_an_etag_of_its_own_in_the_feed(store: MemoryStore) -> None:
    store.set("a", ONE)
    store.subscribe("a")
    _, cursor = store.changes(None, 10)
    put = store.put("a", TWO)
    store.delete("a")

    [change], _ = store.changes(cursor, 10)

    assert ("del", b"null") == (change.op, bytes(change.value))
    assert put.etag != change.etag


def test_the_feed_pages_without_skipping(store: MemoryStore) -> None:
    for key in "abc":
        store.set(key, ONE)
        store.subscribe(key)
    _, cursor = store.changes(None, 10)
    for key in "abc":
        store.put(key, TWO)

    first, cursor = store.changes(cursor, 2)
    second, cursor = store.changes(cursor, 2)
    third, _ = store.changes(cursor, 2)

    assert ["ab", "c", ""] == [
        "".join(each.key for each in page) for page in (first, second, third)
    ]


def test_a_cursor_of_another_instance_is_refused(store: MemoryStore, clock: Clock) -> None:
    other = MemoryStore(100, clock)
    for each in (store, other):
        each.set("a", ONE)
        each.set("b", ONE)

    with pytest.raises(InvalidCursor):
        store.changes(other.changes(None, 1)[1], 1)
    with pytest.raises(InvalidCursor):
        store.page("", 1, other.page("", 1, None).cursor)


def test_a_cursor_that_is_too_old_is_refused(clock: Clock) -> None:
    store = MemoryStore(100, clock)
    for key in "ab":
        store.set(key, ONE)
        store.subscribe(key)
    _, cursor = store.changes(None, 10)
    store.put("a", msgspec.Raw(b"1" * 60))
    store.delete("a")
    store.put("b", msgspec.Raw(b"1" * 60))
    for number in range(10_001):
        key = str(number)
        store.set(key, ONE)
        store.subscribe(key)
        store.delete(key)

    with pytest.raises(InvalidCursor, match="too old"):
        store.changes(cursor, 10)


def test_a_batch_goes_on_after_a_failure(store: MemoryStore) -> None:
    operations = _operations(
        {"op": "get", "key": "a"},
        {"op": "set", "key": "a", "value": 1},
        {"op": "unsubs", "key": "a"},
        {"op": "del", "key": "a"},
    )

    outcomes = store.batch(operations, atomic=False)

    assert [KeyNotFound, Record, NotSubscribed, type(None)] == [type(each) for each in outcomes]


def test_an_atomic_batch_that_fails_leaves_no_trace(store: MemoryStore, clock: Clock) -> None:
    store.set("put", ONE, ttl=100, token="t")
    store.set("del", ONE, ttl=50)
    store.set("old", ONE, ttl=1)
    for key in ("put", "del"):
        store.subscribe(key)
    store.set("plain", TEXT)
    clock.go_on(1)
    _, cursor = store.changes(None, 10)
    before = _everything(store)

    outcomes = store.batch(
        _operations(
            {"op": "put", "key": "put", "value": "much longer than before", "ttl": 5},
            {"op": "put", "key": "put", "value": 3},
            {"op": "del", "key": "del"},
            {"op": "set", "key": "del", "value": 2},
            {"op": "set", "key": "old", "value": 2},
            {"op": "incr", "key": "new"},
            {"op": "subs", "key": "plain"},
            {"op": "unsubs", "key": "put"},
            {"op": "incr", "key": "plain"},
        ),
        atomic=True,
    )

    assert NotACounter is type(outcomes[-1])
    assert before == _everything(store)
    assert ([], cursor) == store.changes(cursor, 10)
    assert store.get("put") == store.set("put", ONE, token="t")
    clock.go_on(100)
    assert (0, 1) == (store.status().subscriptions, store.status().keys)


def test_an_atomic_batch_that_succeeds_is_reported(store: MemoryStore) -> None:
    store.set("a", ONE)
    store.subscribe("a")
    _, cursor = store.changes(None, 10)

    store.batch(_operations({"op": "put", "key": "a", "value": 2}), atomic=True)

    assert ["a"] == [change.key for change in store.changes(cursor, 10)[0]]


def test_an_atomic_batch_that_would_fill_the_store_is_not_done(clock: Clock) -> None:
    store = MemoryStore(10, clock)
    operations = _operations(
        {"op": "set", "key": "a", "value": 1111}, {"op": "set", "key": "b", "value": 111111}
    )

    outcomes = store.batch(operations, atomic=True)

    assert StoreFull is type(outcomes[-1])
    assert (0, 0) == (store.status().keys, store.status().bytes)


def test_a_defect_inside_an_atomic_batch_leaves_no_trace_either(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "delete", lambda *_, **__: 1 / 0)
    operations = _operations({"op": "set", "key": "a", "value": 1}, {"op": "del", "key": "a"})

    with pytest.raises(ZeroDivisionError):
        store.batch(operations, atomic=True)
    assert 0 == store.status().keys
    assert ONE == store.set("a", ONE).value


KEYS = st.sampled_from(["a", "a/b", "b", "\ufffd", "\U00010000"])
NUMBERS = st.integers(-3, 3)
TTLS = st.sampled_from([None, 1, 5])


class AgainstAModel(RuleBasedStateMachine):
    """The engine does what a plain dict with an eye on the clock would do."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = MemoryStore(1_000_000, self.clock)
        # Each key's value, version, end of life and subscription.
        self.model: dict[str, tuple[int, int, datetime | None, bool]] = {}
        self.reported: dict[str, int | None] = {}
        _, self.cursor = self.store.changes(None, 1)

    def _expire(self) -> None:
        now = self.clock.now
        self.model = {k: v for k, v in self.model.items() if v[2] is None or v[2] > now}

    def _end(self, ttl: int | None) -> datetime | None:
        return None if ttl is None else self.clock.now + timedelta(seconds=ttl)

    def _write(self, key: str, value: int, end: datetime | None) -> None:
        _, version, _, subscribed = self.model.get(key, (0, 0, None, False))
        self.model[key] = (value, version + 1, end, subscribed)
        if subscribed:
            self.reported[key] = value

    def _is_subscribed(self, key: str) -> bool:
        return key in self.model and self.model[key][3]

    @rule(seconds=st.sampled_from([0.001, 1, 4]))
    def time_passes(self, seconds: float) -> None:
        self.clock.go_on(seconds)
        self._expire()

    @rule(key=KEYS, value=NUMBERS, ttl=TTLS)
    def set(self, key: str, value: int, ttl: int | None) -> None:
        there = key in self.model
        try:
            self.store.set(key, msgspec.Raw(b"%d" % value), ttl=ttl)
        except KeyExists:
            assert there
        else:
            assert not there
            self._write(key, value, self._end(ttl))

    @rule(key=KEYS, value=NUMBERS, create=st.booleans())
    def put(self, key: str, value: int, *, create: bool) -> None:
        there = key in self.model
        try:
            self.store.put(key, msgspec.Raw(b"%d" % value), create=create)
        except KeyNotFound:
            assert {there, create} == {False}
        else:
            assert create or there
            self._write(key, value, self.model[key][2] if there else None)

    @rule(key=KEYS, by=NUMBERS)
    def increment(self, key: str, by: int) -> None:
        self.store.increment(key, by)
        old = self.model.get(key, (0, 0, None, False))
        self._write(key, old[0] + by, old[2])

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        there = self.model.pop(key, None)
        try:
            self.store.delete(key)
        except KeyNotFound:
            assert there is None
        else:
            assert there is not None
            if there[3]:
                self.reported[key] = None

    @rule(key=KEYS)
    def subscribe(self, key: str) -> None:
        try:
            self.store.subscribe(key)
        except KeyNotFound:
            assert key not in self.model
        else:
            self.model[key] = (*self.model[key][:3], True)

    @rule(key=KEYS)
    def unsubscribe(self, key: str) -> None:
        outcome = self.store.batch(_operations({"op": "unsubs", "key": key}), atomic=False)[0]
        if key not in self.model:
            assert isinstance(outcome, KeyNotFound)
        elif not self.model[key][3]:
            assert isinstance(outcome, NotSubscribed)
        else:
            assert outcome is None
            self.model[key] = (*self.model[key][:3], False)

    @rule(keys=st.lists(KEYS, min_size=1, max_size=4))
    def an_atomic_batch_fails(self, keys: list[str]) -> None:
        doomed = [{"op": "put", "key": key, "value": 99, "create": True} for key in keys]
        doomed += [{"op": "del", "key": keys[0]}, {"op": "get", "key": "missing"}]

        outcomes = self.store.batch(_operations(*doomed), atomic=True)

        assert isinstance(outcomes[-1], KVError)

    @rule()
    @precondition(lambda self: self.reported)
    def changes_are_read(self) -> None:
        changes, self.cursor = self.store.changes(self.cursor, 1000)
        latest = {change.key: json.loads(bytes(change.value)) for change in changes}
        now = {key: self.model[key][0] for key in self.reported if self._is_subscribed(key)}
        assert {**self.reported, **now} == latest
        self.reported = {}

    @invariant()
    def records_are_those_of_the_model(self) -> None:
        page = self.store.page("", 1000, None)
        seen = {r.key: (int(bytes(r.value)), r.version, r.subscribed) for r in page.items}
        assert {k: (v[0], v[1], v[3]) for k, v in self.model.items()} == seen
        assert sorted(self.model, key=str.encode) == [record.key for record in page.items]

    @invariant()
    def subscriptions_are_those_of_the_model(self) -> None:
        expected = sorted((key for key, v in self.model.items() if v[3]), key=str.encode)
        assert expected == self.store.subscriptions(1000, None).items

    @invariant()
    def status_counts_what_is_there(self) -> None:
        status = self.store.status()
        size = sum(len(key.encode()) + len(str(v[0])) for key, v in self.model.items())
        assert (len(self.model), size) == (status.keys, status.bytes)


TestAgainstAModel = AgainstAModel.TestCase
