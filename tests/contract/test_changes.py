"""changes: what subscribers are told."""

from typing import Any

import pytest

from tests.contract.store import Store, changed, error
from tests.contract.test_records import TIME

FIELDS = {"key", "op", "version", "etag", "value", "at"}


def _mark(store: Store, key: str) -> str:
    """Make a change of a key of its own and return its ETag: what came before it is in the feed."""
    name = f"{key}/~mark"
    store.have(name, subscribed=True)
    etag = store.put(name).json()["etag"]
    assert isinstance(etag, str)
    return etag


def _reported(store: Store, since: str, key: str) -> list[dict[str, Any]]:
    """Return the changes of a case's keys, the mark aside."""
    changes = store.feed(since, key, _mark(store, key))
    return [change for change in changes if not change["key"].endswith("~mark")]


def test_without_since_the_answer_is_the_cursor_of_now_and_no_changes(
    store: Store, key: str
) -> None:
    store.have(key, subscribed=True)
    store.put(key)

    answer = store.changes()

    assert (200, {"changes", "cursor"}) == (answer.status_code, set(answer.json()))
    assert [] == answer.json()["changes"]


def test_after_a_cursor_without_a_change_there_is_none(store: Store, key: str) -> None:
    store.have(key, subscribed=True)
    since = store.now()

    assert [] == _reported(store, since, key)


def test_a_put_of_a_subscribed_key_is_reported(store: Store, key: str) -> None:
    store.have(key, subscribed=True)
    since = store.now()

    record = store.put(key, '{"a" : 1}').json()

    [change] = store.feed(since, key, record["etag"])
    assert FIELDS == set(change)
    assert (key, "put", 2, record["etag"], {"a": 1}) == tuple(
        change[field] for field in ("key", "op", "version", "etag", "value")
    )
    assert TIME.fullmatch(change["at"])


def test_a_del_of_a_subscribed_key_is_reported_with_a_null_value(store: Store, key: str) -> None:
    store.have(key, subscribed=True)
    since = store.now()

    store.delete(key)

    last = _reported(store, since, key)[-1]
    assert (key, "del", None) == (last["key"], last["op"], last["value"])
    assert FIELDS == set(last)


def test_the_latest_state_is_reported_where_states_in_between_may_be_merged(
    store: Store, key: str
) -> None:
    store.have(key, subscribed=True)
    since = store.now()
    etags = [store.put(key, str(number)).json()["etag"] for number in range(5)]

    changes = _reported(store, since, key)

    assert (etags[-1], 6, 4) == (changes[-1]["etag"], changes[-1]["version"], changes[-1]["value"])
    assert {change["etag"] for change in changes} <= set(etags)


def test_a_key_that_is_not_subscribed_is_not_reported(store: Store, key: str) -> None:
    store.have(f"{key}/a")
    since = store.now()
    store.put(f"{key}/a")
    store.incr(f"{key}/a")
    store.delete(f"{key}/a")
    store.set(f"{key}/a")

    assert [] == _reported(store, since, key)


def test_subs_and_unsubs_are_no_changes(store: Store, key: str) -> None:
    store.have(f"{key}/a")
    since = store.now()
    store.subs(f"{key}/a")
    store.unsubs(f"{key}/a")
    store.subs(f"{key}/a")

    assert [] == _reported(store, since, key)


def test_after_unsubs_a_key_is_no_longer_reported(store: Store, key: str) -> None:
    store.have(f"{key}/a", subscribed=True)
    store.unsubs(f"{key}/a")
    since = store.now()
    store.put(f"{key}/a")

    assert [] == _reported(store, since, key)


def test_a_key_deleted_and_set_anew_is_not_subscribed(store: Store, key: str) -> None:
    store.have(f"{key}/a", subscribed=True)
    store.delete(f"{key}/a")
    store.set(f"{key}/a")
    since = store.now()
    store.put(f"{key}/a")

    assert [] == _reported(store, since, key)


def test_what_was_before_the_subscription_is_not_reported(store: Store, key: str) -> None:
    name = f"{key}/a"
    store.set(name)
    store.put(name)
    store.delete(name)
    store.set(name)
    since = store.now()
    store.subs(name)

    assert [] == _reported(store, since, key)


def test_a_del_is_reported_with_its_version_whatever_is_written_after_it(
    store: Store, key: str
) -> None:
    name = f"{key}/a"
    store.have(name, subscribed=True)
    since = store.now()
    store.put(name)
    store.put(name)
    store.delete(name)
    store.set(name)
    store.delete(name)

    last = _reported(store, since, key)[-1]
    assert ("del", 3) == (last["op"], last["version"])


def test_the_latest_state_of_a_key_that_is_subscribed_again_is_reported(
    store: Store, key: str
) -> None:
    name = f"{key}/a"
    store.have(name, subscribed=True)
    since = store.now()
    store.put(name, "10")
    store.unsubs(name)
    etag = store.put(name, "11").json()["etag"]
    store.subs(name)

    last = _reported(store, since, key)[-1]
    assert (etag, 3, 11) == (last["etag"], last["version"], last["value"])


def test_a_key_deleted_and_set_and_subscribed_anew_is_reported_with_its_latest_state(
    store: Store, key: str
) -> None:
    name = f"{key}/a"
    store.have(name, subscribed=True)
    since = store.now()
    store.delete(name)
    etag = store.set(name, "11").json()["etag"]
    store.subs(name)

    last = _reported(store, since, key)[-1]
    assert ("put", etag, 1, 11) == (last["op"], last["etag"], last["version"], last["value"])


def test_a_change_is_reported_also_where_the_key_is_no_longer_subscribed(
    store: Store, key: str
) -> None:
    name = f"{key}/a"
    store.have(name, subscribed=True)
    since = store.now()
    etags = [store.put(name).json()["etag"]]
    store.unsubs(name)
    etags.append(store.put(name).json()["etag"])

    assert {change["etag"] for change in _reported(store, since, key)} & set(etags)


def test_a_write_that_was_refused_is_not_reported(store: Store, key: str) -> None:
    store.have(f"{key}/a", value="text", subscribed=True)
    since = store.now()
    store.put(f"{key}/a", headers={"If-Match": '"other"'})
    store.delete(f"{key}/a", {"If-Match": '"other"'})
    store.incr(f"{key}/a")
    store.set(f"{key}/a")
    store.put(f"{key}/a", "NaN")

    assert [] == _reported(store, since, key)


def test_what_a_batch_changes_is_reported(store: Store, key: str) -> None:
    names = [f"{key}/{name}" for name in ("a", "b", "c")]
    store.have(*names, subscribed=True)
    since = store.now()
    store.batch(
        {"op": "put", "key": names[0], "value": 7},
        {"op": "incr", "key": names[1]},
        {"op": "del", "key": names[2]},
    )

    latest = {change["key"]: change for change in _reported(store, since, key)}

    assert [("put", 7), ("put", 2), ("del", None)] == [
        (latest[name]["op"], latest[name]["value"]) for name in names
    ]


def test_what_an_atomic_batch_changes_is_reported_only_where_it_happened(
    store: Store, key: str
) -> None:
    names = [f"{key}/{name}" for name in ("a", "b")]
    store.have(*names, subscribed=True)
    since = store.now()
    operations = [{"op": "put", "key": name, "value": 7} for name in names]
    store.batch(operations[0], {"op": "get", "key": f"{key}/missing"}, atomic=True)
    store.batch(operations[1], atomic=True)

    assert [names[1]] == [change["key"] for change in _reported(store, since, key)]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_no_change_is_skipped_over_pages(store: Store, key: str, limit: int) -> None:
    names = [f"{key}/{number}" for number in range(5)]
    store.have(*names, subscribed=True)
    since = store.now()
    etags = {store.put(name).json()["etag"] for name in names}
    _reported(store, since, key)

    seen: set[str] = set()
    while etags - seen:
        page = store.changes(since=since, limit=limit).json()
        assert 1 <= len(page["changes"]) <= limit
        seen |= {change["etag"] for change in page["changes"]}
        since = page["cursor"]

    assert etags <= seen


def test_a_page_has_100_changes_unless_told(store: Store, key: str) -> None:
    names = [f"{key}/{number:03}" for number in range(101)]
    store.have(*names, subscribed=True)
    since = store.now()
    store.batch(*({"op": "put", "key": name, "value": 2} for name in names))
    _reported(store, since, key)

    assert 100 == len(store.changes(since=since).json()["changes"])
    assert 100 == len(store.changes(since=since, limit="").json()["changes"])
    assert 101 <= len(store.changes(since=since, limit=1000).json()["changes"])


def test_a_watcher_that_goes_on_from_cursor_to_cursor_misses_nothing(
    store: Store, key: str
) -> None:
    store.have(key, subscribed=True)
    since = store.now()

    for _ in range(5):
        etag = store.incr(key).json()["etag"]
        assert etag == store.feed(since, key, etag)[-1]["etag"]
        since = store.now()


def test_a_cursor_that_no_answer_gave_out_is_refused(store: Store, key: str) -> None:
    cursor = store.now()

    # Where much has changed lately it is long: then some of its characters stand for all.
    wrong = [changed(cursor, at) for at in range(0, len(cursor), 1 + len(cursor) // 100)]
    wrong += [cursor[:-1], cursor + "A", cursor + "=", "x", "0", "é"]

    answers = [error(store.changes(since=each)) for each in wrong]
    assert [(400, "InvalidCursor")] * len(wrong) == answers
