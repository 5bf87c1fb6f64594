"""An expired record is absent at once, for every verb."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.store import Store, error
from tests.polling import eventually

VERBS = [
    *("get", "put", "put-create", "put-if-match", "delete", "delete-if-match", "set", "incr"),
    *("subs", "unsubs", "getall", "suball", "batch", "atomic-batch", "changes", "idempotency"),
]
TOKEN = {"Idempotency-Key": "once"}


@pytest.fixture(scope="module")
def expired(store: Store) -> dict[str, str]:
    """Return a key of its own for each verb: all were subscribed to, and have expired."""
    base = f"case-{uuid4().hex}"
    keys = {verb: f"{base}/{verb}" for verb in VERBS}
    cursor = store.now()
    store.have(*keys.values(), subscribed=True)
    store.put(keys["idempotency"], headers=TOKEN, ttl=1)
    # All others in one request: with some runtimes, the next may take longer than they live.
    others = [{"op": "put", "key": keys[verb], "value": 2, "ttl": 1} for verb in VERBS[:-1]]
    expires_at = store.batch(*others).json()["results"][-1]["record"]["expires_at"]
    eventually(lambda: store.get(keys[VERBS[-2]]).status_code, lambda status: status == 404)
    assert datetime.now(UTC) >= datetime.fromisoformat(expires_at)
    return keys | {"cursor": cursor}


def test_get_does_not_find_it(store: Store, expired: dict[str, str]) -> None:
    assert (404, "KeyNotFound") == error(store.get(expired["get"]))


def test_put_does_not_find_it(store: Store, expired: dict[str, str]) -> None:
    assert (404, "KeyNotFound") == error(store.put(expired["put"]))


def test_put_with_create_makes_it_anew(store: Store, expired: dict[str, str]) -> None:
    answer = store.put(expired["put-create"], query="?create=true")

    assert (201, 1, None, False) == (answer.status_code, *_fresh(answer.json()))


def test_put_with_if_match_does_not_find_it(store: Store, expired: dict[str, str]) -> None:
    answer = store.put(expired["put-if-match"], headers={"If-Match": "*"})

    assert (404, "KeyNotFound") == error(answer)


def test_put_with_create_and_if_match_does_not_match(store: Store, expired: dict[str, str]) -> None:
    key = expired["put-if-match"]

    answer = store.put(key, headers={"If-Match": "*"}, query="?create=true")

    assert (412, "VersionMismatch") == error(answer)


def test_del_does_not_find_it(store: Store, expired: dict[str, str]) -> None:
    assert (404, "KeyNotFound") == error(store.delete(expired["delete"]))


def test_del_with_if_match_does_not_find_it(store: Store, expired: dict[str, str]) -> None:
    answer = store.delete(expired["delete-if-match"], headers={"If-Match": "*"})

    assert (404, "KeyNotFound") == error(answer)


def test_set_makes_it_anew_without_its_subscription(store: Store, expired: dict[str, str]) -> None:
    answer = store.set(expired["set"])

    assert (201, 1, None, False) == (answer.status_code, *_fresh(answer.json()))


def test_incr_starts_at_0_again(store: Store, expired: dict[str, str]) -> None:
    answer = store.incr(expired["incr"], by=5)

    assert (200, 1, None, False) == (answer.status_code, *_fresh(answer.json()))
    assert 5 == answer.json()["value"]


def test_subs_does_not_find_it(store: Store, expired: dict[str, str]) -> None:
    assert (404, "KeyNotFound") == error(store.subs(expired["subs"]))


def test_unsubs_does_not_find_it(store: Store, expired: dict[str, str]) -> None:
    assert (404, "KeyNotFound") == error(store.unsubs(expired["unsubs"]))


def test_getall_does_not_list_it(store: Store, expired: dict[str, str]) -> None:
    assert [] == store.keys(expired["getall"])


def test_suball_does_not_list_it(store: Store, expired: dict[str, str]) -> None:
    eventually(lambda: store.subscribed(expired["suball"]), lambda keys: keys == [])


def test_no_operation_of_a_batch_finds_it(store: Store, expired: dict[str, str]) -> None:
    key = expired["batch"]

    results = store.batch(
        {"op": "get", "key": key},
        {"op": "put", "key": key, "value": 1},
        {"op": "del", "key": key},
        {"op": "subs", "key": key},
        {"op": "unsubs", "key": key},
        {"op": "set", "key": key, "value": 1},
    ).json()["results"]

    assert [404, 404, 404, 404, 404, 201] == [result["status"] for result in results]


def test_an_atomic_batch_does_not_find_it(store: Store, expired: dict[str, str]) -> None:
    operation = {"op": "put", "key": expired["atomic-batch"], "value": 1}

    assert (409, "BatchFailed") == error(store.batch(operation, atomic=True))


def test_its_token_is_forgotten(store: Store, expired: dict[str, str]) -> None:
    answer = store.put(expired["idempotency"], headers=TOKEN)

    assert (404, "KeyNotFound") == error(answer)


def test_changes_after_its_expiry_are_not_reported(store: Store, expired: dict[str, str]) -> None:
    key = expired["changes"]
    unreported = [store.set(key).json()["etag"], store.put(key).json()["etag"]]
    store.subs(key)
    reported = store.put(key).json()["etag"]

    etags = [change["etag"] for change in store.feed(expired["cursor"], key, reported)]

    assert set() == set(etags).intersection(unreported)


def _fresh(record: dict[str, Any]) -> tuple[object, ...]:
    return record["version"], record["expires_at"], record["subscribed"]
