"""Idempotency-Key: a write that is sent twice happens once."""

import pytest

from tests.contract.store import Store, error, value_text

ONCE = {"Idempotency-Key": "first token"}
OTHER = {"Idempotency-Key": "other token"}


def test_set_again_with_the_same_token_answers_the_same_success(store: Store, key: str) -> None:
    first = store.set(key, "1", ONCE)

    again = store.set(key, "1", ONCE)

    assert (201, first.text) == (again.status_code, again.text)
    assert first.headers["ETag"] == again.headers["ETag"]
    assert first.headers["Location"] == again.headers["Location"]


def test_put_again_with_the_same_token_writes_once(store: Store, key: str) -> None:
    store.set(key)
    first = store.put(key, "2", ONCE)

    again = store.put(key, "2", ONCE)

    assert (200, first.text) == (again.status_code, again.text)
    assert first.text == store.get(key).text


def test_put_that_created_answers_201_again(store: Store, key: str) -> None:
    first = store.put(key, "2", ONCE, query="?create=true")

    again = store.put(key, "2", ONCE, query="?create=true")

    assert (201, first.text) == (again.status_code, again.text)


def test_put_with_if_match_is_recognised_though_its_etag_no_longer_holds(
    store: Store, key: str
) -> None:
    headers = {**ONCE, "If-Match": store.set(key).headers["ETag"]}
    first = store.put(key, "2", headers)

    again = store.put(key, "2", headers)

    assert (200, first.text) == (again.status_code, again.text)


def test_incr_again_with_the_same_token_counts_once(store: Store, key: str) -> None:
    first = store.incr(key, ONCE)

    again = store.incr(key, ONCE)

    assert (200, first.text) == (again.status_code, again.text)
    assert "1" == value_text(store.get(key))


def test_another_token_is_another_request(store: Store, key: str) -> None:
    store.incr(key, ONCE)
    store.incr(key, OTHER)

    assert "2" == value_text(store.get(key))
    assert (409, "KeyExists") == error(store.set(key, "1", {"Idempotency-Key": "third"}))


def test_the_same_token_at_another_key_is_another_request(store: Store, key: str) -> None:
    answers = [store.incr(f"{key}/a", ONCE), store.incr(f"{key}/b", ONCE)]

    assert ["1", "1"] == [value_text(answer) for answer in answers]


@pytest.mark.parametrize("headers", [None, OTHER])
def test_after_another_write_the_token_is_forgotten(
    store: Store, key: str, headers: dict[str, str] | None
) -> None:
    store.incr(key, ONCE)
    store.put(key, "10", headers)

    assert "11" == value_text(store.incr(key, ONCE))


def test_after_another_write_a_set_is_a_new_request(store: Store, key: str) -> None:
    store.set(key, "1", ONCE)
    store.put(key)

    assert (409, "KeyExists") == error(store.set(key, "1", ONCE))


def test_after_a_delete_a_set_is_a_new_request(store: Store, key: str) -> None:
    first = store.set(key, "1", ONCE)
    store.delete(key)

    again = store.set(key, "1", ONCE)

    assert 201 == again.status_code
    assert first.headers["ETag"] != again.headers["ETag"]


def test_a_subscription_is_no_write_of_the_record(store: Store, key: str) -> None:
    first = store.incr(key, ONCE)
    store.subs(key)

    again = store.incr(key, ONCE)

    assert (200, first.headers["ETag"]) == (again.status_code, again.headers["ETag"])


def test_a_failure_is_not_remembered(store: Store, key: str) -> None:
    failed = store.put(key, "2", ONCE)
    store.set(key)

    assert [404, 200] == [failed.status_code, store.put(key, "2", ONCE).status_code]


def test_it_does_not_apply_to_del(store: Store, key: str) -> None:
    store.set(key)

    assert [204, 404] == [store.delete(key, ONCE).status_code for _ in range(2)]


def test_a_repeated_write_is_reported_once(store: Store, key: str) -> None:
    store.have(key, subscribed=True)
    cursor = store.now()
    store.put(key, "2", ONCE)
    store.put(key, "2", ONCE)

    last = store.delete(key) and store.set(key).json()
    store.subs(key)
    last = store.put(key).json()

    versions = [change["version"] for change in store.feed(cursor, key, last["etag"])]
    assert 3 not in versions


@pytest.mark.parametrize(
    "token", ["!", "~", "x" * 128, 'a "b" c', "\\,;="], ids=lambda text: text[:5]
)
def test_a_token_is_1_to_128_printable_ascii_characters(store: Store, key: str, token: str) -> None:
    answers = [store.incr(key, {"Idempotency-Key": token}) for _ in range(2)]

    assert ["1", "1"] == [value_text(answer) for answer in answers]


@pytest.mark.parametrize("token", ["", "x" * 129, "é", "a\tb", "x\xa0y"], ids=ascii)
def test_another_token_is_refused(store: Store, key: str, token: str) -> None:
    headers = {"Idempotency-Key": token}

    answers = [store.set(key, "1", headers), store.incr(key, headers)]
    store.set(key)
    answers.append(store.put(key, "2", headers))

    assert [(400, "InvalidRequest")] * 3 == [error(answer) for answer in answers]


def test_a_set_with_the_token_of_a_put_answers_as_that_did(store: Store, key: str) -> None:
    store.set(key)
    changed = store.put(key, headers=ONCE)

    answer = store.set(key, headers=ONCE)

    assert 200 == answer.status_code
    assert changed.json() == answer.json()
