"""getall and its pages."""

from itertools import pairwise

import pytest

from tests.contract.store import MAX_VALUE_BYTES, MEBIBYTE, Store, changed, error

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _names(key: str, count: int) -> list[str]:
    return [f"{key}/{number:04}" for number in range(count)]


def test_getall_answers_whole_records(store: Store, key: str) -> None:
    record = store.set(key, '{"a" : 1.10}').json()

    answer = store.getall(prefix=key)

    assert (200, {"items": [record], "cursor": None}) == (answer.status_code, answer.json())


def test_getall_without_a_match_is_an_empty_last_page(store: Store, key: str) -> None:
    assert {"items": [], "cursor": None} == store.getall(prefix=key).json()


def test_a_prefix_is_text_and_need_not_end_with_a_segment(store: Store, key: str) -> None:
    store.have(f"{key}/ab", f"{key}/abc", f"{key}/b", f"{key}/a/b")

    assert [f"{key}/ab", f"{key}/abc"] == store.keys(f"{key}/ab")
    assert [f"{key}/a/b", f"{key}/ab", f"{key}/abc"] == store.keys(f"{key}/a")


@pytest.mark.parametrize("name", ["a,b", "a+b", "a b", "a&b=c", "é", "🗝", "e\u0301", '"<>', "a;b"])
def test_a_prefix_may_hold_what_a_key_may(store: Store, key: str, name: str) -> None:
    store.have(f"{key}/{name}/x", f"{key}/a")

    assert [f"{key}/{name}/x"] == store.keys(f"{key}/{name}")


@pytest.mark.parametrize("prefix", ["%", "a?b", "\\", "\x00", "/", "..", " "])
def test_a_prefix_that_no_key_has_matches_nothing(store: Store, key: str, prefix: str) -> None:
    assert {"items": [], "cursor": None} == store.getall(prefix=prefix).json()


def test_an_empty_prefix_matches_all(store: Store, key: str) -> None:
    store.set(key)

    assert store.getall(limit=1).json() == store.getall(limit=1, prefix="").json()


@pytest.mark.parametrize("limit", [1, 2, 7, 8, 1000])
def test_pages_list_every_key_once_in_key_order(store: Store, key: str, limit: int) -> None:
    names = _names(key, 8)
    store.have(*reversed(names))

    pages = list(store.pages(prefix=key, limit=limit))

    assert names == [item["key"] for page in pages for item in page]
    assert limit >= max(len(page) for page in pages)


def test_a_page_has_100_records_unless_told(store: Store, key: str) -> None:
    names = _names(key, 101)
    store.have(*names)

    page = store.getall(prefix=key).json()

    assert names[:100] == [item["key"] for item in page["items"]]
    rest = store.getall(prefix=key, cursor=page["cursor"]).json()
    assert (names[100:], None) == ([item["key"] for item in rest["items"]], rest["cursor"])


def test_an_empty_limit_or_cursor_is_an_absent_one(store: Store, key: str) -> None:
    store.have(*_names(key, 101))

    assert store.getall(prefix=key).json() == store.getall(prefix=key, limit="", cursor="").json()


def test_a_page_has_up_to_1000_records(store: Store, key: str) -> None:
    names = _names(key, 1001)
    store.have(*names[:1000])
    store.have(*names[1000:])

    assert [1000, 1] == [len(page) for page in store.pages(prefix=key, limit=1000) if page]


@pytest.mark.parametrize(
    "limit", ["0", "1001", "-1", "x", "1.5", "1e2", "0x1", "9" * 30, "１", "1 ", "null"]
)
def test_another_limit_is_refused(store: Store, limit: str) -> None:
    answers = [store.getall(limit=limit), store.changes(limit=limit)]

    assert [(400, "InvalidRequest")] * 2 == [error(answer) for answer in answers]


def test_a_cursor_changed_by_one_character_is_refused(store: Store, key: str) -> None:
    store.have(*_names(key, 3))
    cursor = store.getall(prefix=key, limit=1).json()["cursor"]
    last_changed = [cursor[:-1] + letter for letter in ALPHABET if letter != cursor[-1]]

    wrong = [changed(cursor, at) for at in range(len(cursor))] + last_changed

    answers = [error(store.getall(prefix=key, cursor=each)) for each in wrong]
    assert [(400, "InvalidCursor")] * len(wrong) == answers


def test_a_cursor_longer_or_shorter_by_something_is_refused(store: Store, key: str) -> None:
    store.have(*_names(key, 3))
    cursor = store.getall(prefix=key, limit=1).json()["cursor"]

    wrong = [cursor[:-1], cursor[1:], cursor + "A", cursor + "=", "A" + cursor, f"{cursor} "]
    wrong += [f" {cursor}", cursor * 2, "x", "null", "é", "\x00", "🗝", "=", "A" * 2000]

    answers = [error(store.getall(prefix=key, cursor=each)) for each in wrong]
    assert [(400, "InvalidCursor")] * len(wrong) == answers


def test_a_cursor_of_another_listing_is_refused(store: Store, key: str) -> None:
    store.have(f"{key}/a", f"{key}/b", f"{key}/c", subscribed=True)
    of_prefix = store.getall(prefix=key, limit=1).json()["cursor"]

    answers = [
        store.getall(prefix=f"{key}/", cursor=of_prefix),
        store.getall(cursor=of_prefix),
        store.getall(prefix=key, cursor=store.now()),
        store.suball(cursor=of_prefix),
        store.changes(since=of_prefix),
    ]

    assert [(400, "InvalidCursor")] * 5 == [error(answer) for answer in answers]


def test_a_cursor_may_be_used_again_and_with_another_limit(store: Store, key: str) -> None:
    names = _names(key, 6)
    store.have(*names)
    cursor = store.getall(prefix=key, limit=2).json()["cursor"]

    pages = [store.getall(prefix=key, cursor=cursor, limit=limit).json() for limit in (1, 1, 3)]

    assert [names[2:3], names[2:3], names[2:5]] == [
        [item["key"] for item in page["items"]] for page in pages
    ]


def test_a_key_that_is_there_all_the_while_is_listed_once(store: Store, key: str) -> None:
    kept = [f"{key}/{number:02}/kept" for number in range(20)]
    going = [f"{key}/{number:02}/going" for number in range(20)]
    store.have(*kept, *going)
    listed: list[str] = []

    for number, page in enumerate(store.pages(prefix=key, limit=3)):
        listed += [item["key"] for item in page]
        last = listed[-1] if listed else key
        store.batch(
            *({"op": "del", "key": each} for each in [last, *going[number::7]] if "going" in each),
            *({"op": "put", "key": each, "value": 2} for each in kept),
            {"op": "set", "key": f"{key}/{number:02}/new", "value": 1},
            {"op": "set", "key": f"{last}+", "value": 1},
        )

    assert kept == [each for each in listed if each.endswith("kept")]
    assert len(listed) == len(set(listed))


def test_the_last_page_may_be_empty_where_the_rest_was_deleted(store: Store, key: str) -> None:
    names = _names(key, 3)
    store.have(*names)
    cursor = store.getall(prefix=key, limit=1).json()["cursor"]
    for name in names:
        store.delete(name)

    assert {"items": [], "cursor": None} == store.getall(prefix=key, cursor=cursor).json()


@pytest.fixture(scope="module")
def large(store: Store) -> dict[str, str]:
    """Return 15 keys with the longest values there may be: together more than an answer carries."""
    from uuid import uuid4

    key = f"case-{uuid4().hex}"
    units = ['\\"', "\\\\", "鍵", "\\u0001", "<"]
    values = {}
    for number in range(15):
        unit = units[number % len(units)]
        room = MAX_VALUE_BYTES - 2
        count = room // len(unit.encode())
        text = unit * count + "x" * (room - count * len(unit.encode()))
        values[f"{key}/{number:02}"] = f'"{text}"'
    for name, text in values.items():
        assert 201 == store.set(name, text).status_code
    return values


def _prefix(large: dict[str, str]) -> str:
    return next(iter(large)).partition("/")[0]


def test_a_page_ends_before_its_body_passes_4_mib(store: Store, large: dict[str, str]) -> None:
    texts = []
    cursor: str | None = ""
    while cursor is not None:
        page = store.getall(prefix=_prefix(large), cursor=cursor)
        assert len(page.content) <= 4 * MEBIBYTE
        cursor = page.json()["cursor"]
        texts.append(page.text)

    assert 2 == len(texts)
    listed = "".join(texts)
    assert [1] * 15 == [
        listed.count(f'"key":"{name}","value":{text},"version"') for name, text in large.items()
    ]


def test_a_page_of_changes_ends_before_its_body_passes_4_mib(
    store: Store, large: dict[str, str]
) -> None:
    for name in large:
        store.subs(name)
    since = store.now()
    last = [store.put(name, text) for name, text in large.items()][-1].json()["etag"]

    store.feed(since, _prefix(large), last)

    seen: set[str] = set()
    cursors = [since]
    while large.keys() - seen:
        page = store.changes(since=cursors[-1])
        assert len(page.content) <= 4 * MEBIBYTE
        seen.update(change["key"] for change in page.json()["changes"])
        cursors.append(page.json()["cursor"])
    assert all(before != after for before, after in pairwise(cursors))


def test_a_batch_answers_the_records_that_fit_and_says_which_did_not(
    store: Store, large: dict[str, str]
) -> None:
    answer = store.batch(*({"op": "get", "key": name} for name in large))

    results = answer.json()["results"]
    outcomes = [(result["status"], result.get("error")) for result in results]
    assert 200 == answer.status_code
    assert {(200, None), (413, "ResponseTooLarge")} == set(outcomes)
    assert len(answer.content) <= 4.5 * MEBIBYTE
    fitting = [name for name, result in zip(large, results, strict=True) if result["status"] == 200]
    assert 8 <= len(fitting)
    for name in fitting:
        assert f'"key":"{name}","value":{large[name]},"version"' in answer.text


def test_an_answer_with_many_failures_beside_large_records_can_be_sent(
    store: Store, large: dict[str, str], key: str
) -> None:
    missing = [f"{key}/{number:03}/".ljust(1023, "é")[:530] + "x" for number in range(980)]

    answer = store.batch(*({"op": "get", "key": name} for name in [*large, *missing]))

    # Lambda carries 6 MiB, and Base64 makes a body longer by a third.
    assert 200 == answer.status_code
    assert len(answer.content) * 4 / 3 < 6 * MEBIBYTE
