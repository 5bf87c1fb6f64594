"""incr: whole numbers of 64 bits."""

import pytest

from tests.contract.store import Store, error, value_text

MOST = 2**63 - 1
LEAST = -(2**63)


def test_a_missing_key_starts_at_0(store: Store, key: str) -> None:
    answer = store.incr(key)

    assert (200, "1") == (answer.status_code, value_text(answer))
    assert (1, None, False) == (
        answer.json()["version"],
        answer.json()["expires_at"],
        answer.json()["subscribed"],
    )


def test_an_increment_adds_to_the_number(store: Store, key: str) -> None:
    store.set(key, "40")

    answers = [
        store.incr(key, by=3),
        store.incr(key),
        store.incr(key, by=-50),
        store.incr(key, by=0),
    ]

    assert ["43", "44", "-6", "-6"] == [value_text(answer) for answer in answers]
    assert [2, 3, 4, 5] == [answer.json()["version"] for answer in answers]


@pytest.mark.parametrize("body", ["", "{}", " { } ", '{"by": 1}'])
def test_by_is_1_where_it_is_left_out(store: Store, key: str, body: str) -> None:
    assert "1" == value_text(store.send("POST", f"/counters/{key}", body))


def test_the_number_is_read_as_any_value(store: Store, key: str) -> None:
    record = store.incr(key, by=12).json()

    assert record == store.get(key).json()


@pytest.mark.parametrize(("start", "by"), [(MOST - 1, 1), (LEAST + 1, -1), (0, MOST), (0, LEAST)])
def test_the_ends_of_64_bits_can_be_reached(store: Store, key: str, start: int, by: int) -> None:
    store.set(key, str(start))

    assert str(start + by) == value_text(store.incr(key, by=by))


@pytest.mark.parametrize(("start", "by"), [(MOST, 1), (LEAST, -1), (MOST, MOST), (LEAST, LEAST)])
def test_the_ends_of_64_bits_cannot_be_left(store: Store, key: str, start: int, by: int) -> None:
    record = store.set(key, str(start)).json()

    assert (409, "NotACounter") == error(store.incr(key, by=by))
    assert record == store.get(key).json()


@pytest.mark.parametrize(
    "value", ['"1"', "1.5", "true", "null", "[1]", "{}", '""', "9" * 5000, "-" + "9" * 20]
)
def test_a_value_that_is_no_whole_number_of_64_bits_is_no_counter(
    store: Store, key: str, value: str
) -> None:
    store.set(key, value)

    assert (409, "NotACounter") == error(store.incr(key))
    assert value == value_text(store.get(key))


@pytest.mark.parametrize(
    "by",
    ["1.5", '"1"', "true", "null", "[]", "1e400", str(MOST + 1), str(LEAST - 1), "1" * 5000],
    ids=lambda by: by[:21],
)
def test_by_is_a_whole_number_of_64_bits(store: Store, key: str, by: str) -> None:
    answer = store.send("POST", f"/counters/{key}", f'{{"by":{by}}}')

    assert (400, "InvalidRequest") == error(answer)
    assert 404 == store.get(key).status_code


def test_increments_are_reported_to_subscribers(store: Store, key: str) -> None:
    store.have(key, subscribed=True)
    cursor = store.now()

    record = store.incr(key, by=41).json()

    [change] = store.feed(cursor, key, record["etag"])
    assert ("put", 2, record["etag"], 42) == (
        change["op"],
        change["version"],
        change["etag"],
        change["value"],
    )
