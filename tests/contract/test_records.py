"""set, get, put and del: what they answer and what they leave behind."""

import re
from datetime import datetime, timedelta

import pytest

from tests.contract.store import Store, error, state

FIELDS = {
    "key",
    "value",
    "version",
    "etag",
    "created_at",
    "updated_at",
    "expires_at",
    "subscribed",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_set_answers_201_and_the_record_with_every_field(store: Store, key: str) -> None:
    answer = store.set(key, '"ashish"')
    record = answer.json()

    assert 201 == answer.status_code
    assert set(record) == FIELDS
    assert (key, "ashish", 1, None, False) == (
        record["key"],
        record["value"],
        record["version"],
        record["expires_at"],
        record["subscribed"],
    )


def test_set_locates_the_record(store: Store, key: str) -> None:
    answer = store.set(key)

    assert answer.json() == store.send("GET", answer.headers["Location"]).json()


def test_set_of_a_key_that_is_there_is_refused_and_changes_nothing(store: Store, key: str) -> None:
    record = store.set(key).json()

    assert (409, "KeyExists") == error(store.set(key, "2"))
    assert record == store.get(key).json()


def test_get_answers_the_record_that_set_answered(store: Store, key: str) -> None:
    record = store.set(key).json()

    answer = store.get(key)

    assert (200, record) == (answer.status_code, answer.json())


def test_get_of_a_missing_key_is_refused(store: Store, key: str) -> None:
    assert (404, "KeyNotFound") == error(store.get(key))


def test_put_changes_the_value_and_keeps_what_else_the_record_has(store: Store, key: str) -> None:
    before = store.set(key).json()

    answer = store.put(key, '"new"')

    after = answer.json()
    assert 200 == answer.status_code
    assert after == before | {
        "value": "new",
        "version": 2,
        "etag": after["etag"],
        "updated_at": after["updated_at"],
    }
    assert after == store.get(key).json()


def test_put_of_a_missing_key_is_refused_and_makes_nothing(store: Store, key: str) -> None:
    assert (404, "KeyNotFound") == error(store.put(key))
    assert (404, "KeyNotFound") == error(store.get(key))


def test_put_without_create_as_with_create_false_makes_nothing(store: Store, key: str) -> None:
    assert (404, "KeyNotFound") == error(store.put(key, query="?create=false"))


def test_put_with_create_makes_a_missing_key(store: Store, key: str) -> None:
    answer = store.put(key, "7", query="?create=true")

    assert (201, 1, 7) == (answer.status_code, answer.json()["version"], answer.json()["value"])


def test_put_with_create_changes_a_key_that_is_there(store: Store, key: str) -> None:
    store.set(key)

    answer = store.put(key, "7", query="?create=true")

    assert (200, 2, 7) == (answer.status_code, answer.json()["version"], answer.json()["value"])


def test_del_answers_204_without_a_body_and_the_key_is_gone(store: Store, key: str) -> None:
    store.set(key)

    answer = store.delete(key)

    assert (204, b"") == (answer.status_code, answer.content)
    assert (404, "KeyNotFound") == error(store.get(key))


def test_del_of_a_missing_key_is_refused(store: Store, key: str) -> None:
    assert (404, "KeyNotFound") == error(store.delete(key))


def test_set_after_del_begins_at_version_1_again(store: Store, key: str) -> None:
    store.set(key)
    store.put(key)
    store.delete(key)

    assert (201, 1) == ((answer := store.set(key)).status_code, answer.json()["version"])


def test_version_grows_by_1_with_every_put_and_increment(store: Store, key: str) -> None:
    answers = [store.set(key), store.put(key), store.incr(key), store.incr(key), store.put(key)]

    assert [1, 2, 3, 4, 5] == [answer.json()["version"] for answer in answers]


def test_an_etag_is_never_used_again_not_even_for_the_same_value(store: Store, key: str) -> None:
    answers = [store.set(key), store.put(key, "1"), store.put(key, "1"), store.incr(key)]
    store.delete(key)
    answers += [store.set(key), store.put(key, "1"), store.incr(key)]

    assert len(answers) == len({answer.json()["etag"] for answer in answers})


@pytest.mark.parametrize("verb", ["set", "get", "put", "subs", "incr"])
def test_an_answer_that_is_one_record_has_its_etag(store: Store, key: str, verb: str) -> None:
    if verb != "set":
        store.set(key)

    answer = getattr(store, verb)(key)

    assert f'"{answer.json()["etag"]}"' == answer.headers["ETag"]


def test_times_are_rfc_3339_in_utc_with_milliseconds(store: Store, key: str) -> None:
    record = store.set(key, ttl=1000).json()

    times = [record["created_at"], record["updated_at"], record["expires_at"]]
    assert [True] * 3 == [bool(TIME.fullmatch(time)) for time in times]


def test_put_keeps_created_at_and_moves_updated_at(store: Store, key: str) -> None:
    before = store.set(key).json()

    after = store.put(key).json()

    assert before["created_at"] == after["created_at"]
    assert before["updated_at"] <= after["updated_at"]


def test_set_with_a_time_to_live_expires_that_long_after_the_write(store: Store, key: str) -> None:
    record = store.set(key, ttl=1000).json()

    lifetime = _moment(record["expires_at"]) - _moment(record["updated_at"])
    assert timedelta(seconds=1000) == lifetime


def test_set_with_a_null_time_to_live_does_not_expire(store: Store, key: str) -> None:
    assert None is store.set(key, ttl=None).json()["expires_at"]


def test_put_without_a_time_to_live_leaves_the_expiry(store: Store, key: str) -> None:
    before = store.set(key, ttl=1000).json()

    assert before["expires_at"] == store.put(key).json()["expires_at"]


def test_put_with_a_time_to_live_counts_from_now(store: Store, key: str) -> None:
    store.set(key)

    record = store.put(key, ttl=5).json()

    lifetime = _moment(record["expires_at"]) - _moment(record["updated_at"])
    assert timedelta(seconds=5) == lifetime


def test_put_with_a_null_time_to_live_removes_the_expiry(store: Store, key: str) -> None:
    store.set(key, ttl=1000)

    assert None is store.put(key, ttl=None).json()["expires_at"]
    assert None is store.get(key).json()["expires_at"]


def test_an_increment_leaves_the_expiry(store: Store, key: str) -> None:
    before = store.set(key, ttl=1000).json()

    assert before["expires_at"] == store.incr(key).json()["expires_at"]


@pytest.mark.parametrize("ttl", [1, 315_360_000])
def test_a_time_to_live_is_1_to_315360000_seconds(store: Store, key: str, ttl: int) -> None:
    assert 201 == store.set(f"{key}/set", ttl=ttl).status_code
    # A key of its own: the other may be gone by now.
    store.set(f"{key}/put")
    assert 200 == store.put(f"{key}/put", ttl=ttl).status_code


@pytest.mark.parametrize("ttl", [0, -1, 315_360_001, 10**30, 1.5, "1", True, [1]], ids=str)
def test_another_time_to_live_is_refused(store: Store, key: str, ttl: object) -> None:
    assert (400, "InvalidRequest") == error(store.set(key, ttl=ttl))
    store.set(key)
    assert (400, "InvalidRequest") == error(store.put(key, ttl=ttl))
    assert (1, None) == ((record := store.get(key).json())["version"], record["expires_at"])


def test_one_record_does_not_touch_another(store: Store, key: str) -> None:
    store.set(f"{key}/a")
    other = store.set(f"{key}/b").json()

    store.put(f"{key}/a")
    store.delete(f"{key}/a")

    assert state(other) == state(store.get(f"{key}/b").json())


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
