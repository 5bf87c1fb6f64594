"""ETag, If-Match and If-None-Match."""

import pytest

from tests.contract.store import Store, error, state

CREATE = "?create=true"


def test_get_answers_304_without_a_body_while_the_etag_holds(store: Store, key: str) -> None:
    etag = store.set(key).headers["ETag"]

    answer = store.get(key, {"If-None-Match": etag})

    assert (304, b"", etag) == (answer.status_code, answer.content, answer.headers["ETag"])


def test_get_answers_the_record_once_the_etag_no_longer_holds(store: Store, key: str) -> None:
    etag = store.set(key).headers["ETag"]
    record = store.put(key).json()

    answer = store.get(key, {"If-None-Match": etag})

    assert (200, record) == (answer.status_code, answer.json())


@pytest.mark.parametrize("form", ["W/{}", '"other", {}', '"other",{},W/"more"', " {} ", "*"])
def test_if_none_match_takes_weak_etags_lists_and_any(store: Store, key: str, form: str) -> None:
    etag = store.set(key).headers["ETag"]

    assert 304 == store.get(key, {"If-None-Match": form.format(etag).strip()}).status_code


@pytest.mark.parametrize("field", ["*", '"other"'])
def test_if_none_match_does_not_hide_that_a_key_is_missing(
    store: Store, key: str, field: str
) -> None:
    assert (404, "KeyNotFound") == error(store.get(key, {"If-None-Match": field}))


@pytest.mark.parametrize("form", ["{}", '"other", {}', '{},"other"', '"a,b", {}', "*"])
def test_put_with_an_if_match_that_holds_changes_the_record(
    store: Store, key: str, form: str
) -> None:
    etag = store.set(key).headers["ETag"]

    answer = store.put(key, headers={"If-Match": form.format(etag)})

    assert (200, 2) == (answer.status_code, answer.json()["version"])


@pytest.mark.parametrize("form", ['"other"', "W/{}", '"other", W/{}', '""', '"*"'])
def test_put_with_an_if_match_that_does_not_hold_changes_nothing(
    store: Store, key: str, form: str
) -> None:
    answer = store.set(key)
    field = form.format(answer.headers["ETag"])

    assert (412, "VersionMismatch") == error(store.put(key, headers={"If-Match": field}))
    assert answer.json() == store.get(key).json()


def test_an_etag_holds_for_one_write_only(store: Store, key: str) -> None:
    etag = store.set(key).headers["ETag"]

    first = store.put(key, headers={"If-Match": etag})
    second = store.put(key, headers={"If-Match": etag})

    assert [200, 412] == [first.status_code, second.status_code]


def test_an_etag_does_not_hold_after_the_key_was_deleted_and_set_anew(
    store: Store, key: str
) -> None:
    etag = store.set(key).headers["ETag"]
    store.delete(key)
    store.set(key)

    assert (412, "VersionMismatch") == error(store.put(key, headers={"If-Match": etag}))


def test_the_etag_of_one_key_does_not_hold_for_another(store: Store, key: str) -> None:
    etag = store.set(f"{key}/a").headers["ETag"]
    store.set(f"{key}/b")

    assert 412 == store.put(f"{key}/b", headers={"If-Match": etag}).status_code
    assert 412 == store.delete(f"{key}/b", headers={"If-Match": etag}).status_code
    assert 200 == store.get(f"{key}/b", headers={"If-None-Match": etag}).status_code


@pytest.mark.parametrize("form", ["{}", '"other", {}', "*"])
def test_del_with_an_if_match_that_holds_deletes(store: Store, key: str, form: str) -> None:
    etag = store.set(key).headers["ETag"]

    assert 204 == store.delete(key, headers={"If-Match": form.format(etag)}).status_code
    assert 404 == store.get(key).status_code


@pytest.mark.parametrize("form", ['"other"', "W/{}"])
def test_del_with_an_if_match_that_does_not_hold_deletes_nothing(
    store: Store, key: str, form: str
) -> None:
    answer = store.set(key)
    field = form.format(answer.headers["ETag"])

    assert (412, "VersionMismatch") == error(store.delete(key, headers={"If-Match": field}))
    assert state(answer.json()) == state(store.get(key).json())


@pytest.mark.parametrize("field", ["*", '"other"'])
def test_a_missing_key_is_not_found_also_with_if_match(store: Store, key: str, field: str) -> None:
    assert (404, "KeyNotFound") == error(store.put(key, headers={"If-Match": field}))
    assert (404, "KeyNotFound") == error(store.delete(key, headers={"If-Match": field}))


@pytest.mark.parametrize("field", ["*", '"other"'])
def test_a_missing_key_with_create_and_if_match_is_a_mismatch_and_is_not_created(
    store: Store, key: str, field: str
) -> None:
    answer = store.put(key, headers={"If-Match": field}, query=CREATE)

    assert (412, "VersionMismatch") == error(answer)
    assert 404 == store.get(key).status_code


@pytest.mark.parametrize("field", ["*", "{}"])
def test_create_with_an_if_match_that_holds_changes_the_record(
    store: Store, key: str, field: str
) -> None:
    etag = store.set(key).headers["ETag"]

    answer = store.put(key, headers={"If-Match": field.format(etag)}, query=CREATE)

    assert 200 == answer.status_code


@pytest.mark.parametrize(
    "field",
    ["", "bare", '"open', 'open"', '"a" "b"', '"a",', ',"a"', 'w/"a"', '*, "a"', "**", '"a"b'],
)
def test_a_malformed_precondition_is_refused(store: Store, key: str, field: str) -> None:
    record = store.set(key).json()

    answers = [
        store.put(key, headers={"If-Match": field}),
        store.delete(key, headers={"If-Match": field}),
        store.get(key, headers={"If-None-Match": field}),
    ]

    assert [(400, "InvalidRequest")] * 3 == [error(answer) for answer in answers]
    assert record == store.get(key).json()


def test_put_refuses_if_none_match_and_overwrites_nothing(store: Store, key: str) -> None:
    record = store.set(key).json()

    answer = store.put(key, headers={"If-None-Match": "*"}, query=CREATE)

    assert (400, "InvalidRequest") == error(answer)
    assert record == store.get(key).json()
