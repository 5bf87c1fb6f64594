"""subs, unsubs and suball."""

import pytest

from tests.contract.store import Store, changed, error, state
from tests.polling import eventually


def _eventually_subscribed(store: Store, prefix: str, expected: list[str]) -> None:
    eventually(lambda: store.subscribed(prefix), lambda keys: keys == expected)


def test_subs_answers_the_record_and_leaves_version_and_etag(store: Store, key: str) -> None:
    before = store.set(key).json()

    answer = store.subs(key)

    assert (200, before | {"subscribed": True}) == (answer.status_code, answer.json())
    assert before | {"subscribed": True} == store.get(key).json()


def test_subs_twice_is_as_once(store: Store, key: str) -> None:
    store.set(key)

    answers = [store.subs(key), store.subs(key)]

    assert [200, 200] == [answer.status_code for answer in answers]
    assert answers[0].json() == answers[1].json()
    _eventually_subscribed(store, key, [key])


def test_unsubs_answers_204_and_leaves_version_and_etag(store: Store, key: str) -> None:
    before = store.set(key).json()
    store.subs(key)

    answer = store.unsubs(key)

    assert (204, b"") == (answer.status_code, answer.content)
    assert before == store.get(key).json()
    _eventually_subscribed(store, key, [])


def test_subs_and_unsubs_leave_the_value_and_the_expiry(store: Store, key: str) -> None:
    before = store.set(key, '{"a" : 1.10}', ttl=1000)
    store.subs(key)
    store.unsubs(key)

    assert before.text == store.get(key).text


def test_subs_and_unsubs_of_a_missing_key_are_refused(store: Store, key: str) -> None:
    assert (404, "KeyNotFound") == error(store.subs(key))
    assert (404, "KeyNotFound") == error(store.unsubs(key))
    assert (404, "KeyNotFound") == error(store.get(key))


def test_unsubs_of_a_key_that_is_not_subscribed_is_refused(store: Store, key: str) -> None:
    store.set(key)

    assert (404, "NotSubscribed") == error(store.unsubs(key))


def test_unsubs_twice_is_refused(store: Store, key: str) -> None:
    store.have(key, subscribed=True)
    store.unsubs(key)

    assert (404, "NotSubscribed") == error(store.unsubs(key))


def test_a_write_keeps_the_subscription(store: Store, key: str) -> None:
    store.have(key, subscribed=True)

    answers = [store.put(key), store.incr(key), store.put(key, query="?create=true")]

    assert [True, True, True] == [answer.json()["subscribed"] for answer in answers]
    _eventually_subscribed(store, key, [key])


def test_deleting_the_key_ends_the_subscription(store: Store, key: str) -> None:
    store.have(key, subscribed=True)
    store.delete(key)

    _eventually_subscribed(store, key, [])
    assert False is store.set(key).json()["subscribed"]
    assert (404, "NotSubscribed") == error(store.unsubs(key))


def test_an_etag_holds_across_subs(store: Store, key: str) -> None:
    record = store.set(key).json()
    store.subs(key)

    answer = store.put(key, headers={"If-Match": f'"{record["etag"]}"'})

    assert (200, 2) == (answer.status_code, state(answer.json())[0])


def test_suball_lists_the_subscribed_keys_in_key_order(store: Store, key: str) -> None:
    names = [f"{key}/{name}" for name in ("\U00010000", "b", "a/x", "\ufffd", "é", "a")]
    store.have(*names, subscribed=True)
    store.have(f"{key}/not")

    _eventually_subscribed(store, key, sorted(names, key=str.encode))


# Other cases leave their subscriptions behind, so pages of few keys would be many.
@pytest.mark.parametrize("limit", [20, 1000])
def test_suball_lists_each_key_once_over_its_pages(store: Store, key: str, limit: int) -> None:
    names = [f"{key}/{number}" for number in range(7)]
    store.have(*names, subscribed=True)
    _eventually_subscribed(store, key, names)

    assert names == store.subscribed(key, limit=limit)


def test_a_page_of_suball_has_100_keys_unless_told(store: Store, key: str) -> None:
    names = [f"{key}/{number:03}" for number in range(101)]
    store.have(*names, subscribed=True)
    _eventually_subscribed(store, key, names)

    page = store.suball().json()

    assert {"keys", "cursor"} == set(page)
    assert 100 == len(page["keys"])
    assert page == store.suball(limit="", cursor="").json()


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "1e2", "１"])
def test_suball_refuses_another_limit(store: Store, limit: str) -> None:
    assert (400, "InvalidRequest") == error(store.suball(limit=limit))


def test_suball_refuses_a_cursor_that_no_answer_gave_out(store: Store, key: str) -> None:
    names = [f"{key}/a", f"{key}/b"]
    store.have(*names, subscribed=True)
    _eventually_subscribed(store, key, names)
    cursor = store.suball(limit=1).json()["cursor"]
    of_getall = store.getall(prefix=key, limit=1).json()["cursor"]

    wrong = [changed(cursor, at) for at in range(len(cursor))]
    wrong += [cursor[:-1], cursor + "A", "x", of_getall, store.now()]

    answers = [error(store.suball(cursor=each)) for each in wrong]
    assert [(400, "InvalidCursor")] * len(wrong) == answers
