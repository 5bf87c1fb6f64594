"""batch: many operations in one request."""

import json
import re

import pytest

from tests.contract.store import MAX_VALUE_BYTES, Store, error, state
from tests.contract.test_records import FIELDS

MALFORMED = {
    "unknown op": {"op": "nope", "key": "a"},
    "no op": {"key": "a"},
    "op of another type": {"op": 1, "key": "a"},
    "null op": {"op": None, "key": "a"},
    "no key": {"op": "get"},
    "key of another type": {"op": "get", "key": 1},
    "unknown field": {"op": "get", "key": "a", "nope": 1},
    "a field of another verb": {"op": "get", "key": "a", "value": 1},
    "if_match on set": {"op": "set", "key": "a", "value": 1, "if_match": "x"},
    "no value": {"op": "set", "key": "a"},
    "create of another type": {"op": "put", "key": "a", "value": 1, "create": "true"},
    "ttl of another type": {"op": "set", "key": "a", "value": 1, "ttl": "1"},
    "by of another type": {"op": "incr", "key": "a", "by": 1.5},
    "by beyond 64 bits": {"op": "incr", "key": "a", "by": 2**63},
    "if_match of another type": {"op": "del", "key": "a", "if_match": 1},
    "a list": [],
    "text": "get",
    "null": None,
}


def test_operations_run_in_order_and_answer_as_their_verbs_do(store: Store, key: str) -> None:
    answer = store.batch(
        {"op": "set", "key": key, "value": 1},
        {"op": "set", "key": key, "value": 1},
        {"op": "get", "key": key},
        {"op": "put", "key": key, "value": 5, "ttl": 1000},
        {"op": "incr", "key": key, "by": 2},
        {"op": "incr", "key": key},
        {"op": "get", "key": key},
        {"op": "subs", "key": key},
        {"op": "unsubs", "key": key},
        {"op": "unsubs", "key": key},
        {"op": "del", "key": key},
        {"op": "del", "key": key},
        {"op": "put", "key": key, "value": 9, "create": True},
        {"op": "incr", "key": f"{key}/counter"},
    )

    results = answer.json()["results"]
    assert (200, {"results"}) == (answer.status_code, set(answer.json()))
    statuses = [201, 409, 200, 200, 200, 200, 200, 200, 204, 404, 204, 404, 201, 200]
    assert statuses == [result["status"] for result in results]
    assert (1, 8) == (results[2]["record"]["value"], results[6]["record"]["value"])
    assert ["KeyExists", "NotSubscribed", "KeyNotFound"] == [
        results[index]["error"] for index in (1, 9, 11)
    ]


def test_results_have_the_fields_of_the_contract(store: Store, key: str) -> None:
    results = store.batch(
        {"op": "set", "key": key, "value": 1},
        {"op": "put", "key": key, "value": 1},
        {"op": "incr", "key": key},
        {"op": "get", "key": key},
        {"op": "subs", "key": key},
        {"op": "unsubs", "key": key},
        {"op": "del", "key": key},
        {"op": "get", "key": key},
    ).json()["results"]

    assert [{"status", "record"}] * 7 == [set(result) for result in results[:7]]
    assert [FIELDS - {"value"}] * 3 == [set(result["record"]) for result in results[:3]]
    assert [FIELDS] * 2 == [set(result["record"]) for result in results[3:5]]
    assert [None] * 2 == [result["record"] for result in results[5:7]]
    assert {"status", "error", "message"} == set(results[7])


def test_a_batch_leaves_what_its_operations_would_leave_alone(store: Store, key: str) -> None:
    results = store.batch(
        {"op": "set", "key": key, "value": {"a": 1}, "ttl": 1000},
        {"op": "subs", "key": key},
        {"op": "put", "key": key, "value": 2},
    ).json()["results"]

    assert results[2]["record"] | {"value": 2} == store.get(key).json()
    assert results[0]["record"]["expires_at"] == results[2]["record"]["expires_at"]
    assert True is results[2]["record"]["subscribed"]


def test_a_null_time_to_live_removes_the_expiry(store: Store, key: str) -> None:
    results = store.batch(
        {"op": "set", "key": key, "value": 1, "ttl": 1000},
        {"op": "put", "key": key, "value": 1, "ttl": None},
    ).json()["results"]

    assert None is results[1]["record"]["expires_at"]


@pytest.mark.parametrize("form", ["{}", '"{}"', "*", '"other", "{}"'])
def test_if_match_lets_an_operation_through_where_it_holds(
    store: Store, key: str, form: str
) -> None:
    etag = store.set(key).json()["etag"]
    field = form.replace("{}", etag)

    answer = store.batch({"op": "put", "key": key, "value": 2, "if_match": field})

    assert [200] == [result["status"] for result in answer.json()["results"]]


def test_if_match_stops_an_operation_where_it_does_not_hold(store: Store, key: str) -> None:
    record = store.set(key).json()

    results = store.batch(
        {"op": "put", "key": key, "value": 2, "if_match": "other"},
        {"op": "del", "key": key, "if_match": "other"},
        {"op": "put", "key": f"{key}/missing", "value": 2, "if_match": "*", "create": True},
        {"op": "put", "key": f"{key}/missing", "value": 2, "if_match": "*"},
        {"op": "del", "key": key, "if_match": record["etag"]},
    ).json()["results"]

    assert [412, 412, 412, 404, 204] == [result["status"] for result in results]


def test_a_bad_key_or_value_fails_in_its_own_result_and_the_others_go_on(
    store: Store, key: str
) -> None:
    results = store.batch(
        {"op": "get", "key": "a//b"},
        {"op": "set", "key": key, "value": "x" * MAX_VALUE_BYTES},
        {"op": "del", "key": ""},
        {"op": "set", "key": key, "value": 1},
    ).json()["results"]

    assert ["InvalidKey", "ValueTooLarge", "InvalidKey"] == [each["error"] for each in results[:3]]
    assert [400, 413, 400, 201] == [result["status"] for result in results]


def test_what_has_no_room_in_the_answer_takes_none_from_what_follows(
    store: Store, key: str
) -> None:
    large = [f"{key}/{number}" for number in range(12)]
    store.set(f"{key}/small")
    for name in large:
        store.set(name, '"' + "x" * 390_000 + '"')
    wanted = [*large, *large * 8, f"{key}/missing", f"{key}//bad", f"{key}/small"]

    results = store.batch(*({"op": "get", "key": name} for name in wanted)).json()["results"]

    assert [200] * 10 + [413] * 98 + [404, 400, 200] == [result["status"] for result in results]


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("atomic", [False, True])
def test_a_malformed_operation_makes_the_whole_request_invalid_and_is_named(
    store: Store, key: str, malformed: object, *, atomic: bool
) -> None:
    operations = [{"op": "set", "key": f"{key}/{number}", "value": 1} for number in range(18)]
    body = json.dumps(
        {"operations": [*operations[:17], malformed, operations[17]], "atomic": atomic}
    )

    answer = store.send("POST", "/batch", body)

    assert (400, "InvalidRequest") == error(answer)
    assert re.search(r"\b17\b", answer.json()["message"])
    assert [] == store.keys(key)


def test_a_malformed_operation_is_named_also_beside_a_deep_value(store: Store, key: str) -> None:
    deep = "[" * 5000 + "]" * 5000
    good = f'{{"op":"set","key":"{key}","value":{deep}}}'
    body = f'{{"operations":[{good},{good},{{"op":"nope","key":"a"}}]}}'

    answer = store.send("POST", "/batch", body)

    assert (400, "InvalidRequest") == error(answer)
    assert re.search(r"\b2\b", answer.json()["message"])


@pytest.mark.parametrize(
    "body",
    [
        *("", "{}", "[]", "null", "1", '"x"', "{", '{"operations":1}', '{"operations":{}}'),
        *('{"operations":null}', '{"operations":[],"nope":1}', '{"operations":[],"atomic":1}'),
        *('{"operations":[],"atomic":"true"}', '{"operations":[],"atomic":null}'),
        '{"atomic":true}',
    ],
)
def test_another_body_is_refused(store: Store, body: str) -> None:
    assert (400, "InvalidRequest") == error(store.send("POST", "/batch", body))


@pytest.mark.parametrize("atomic", [False, True])
def test_a_batch_may_be_empty(store: Store, *, atomic: bool) -> None:
    answer = store.batch(atomic=atomic)

    assert (200, {"results": []}) == (answer.status_code, answer.json())


def test_a_batch_holds_at_most_1000_operations(store: Store, key: str) -> None:
    operations = [{"op": "set", "key": f"{key}/{number}", "value": 1} for number in range(1001)]

    assert (400, "InvalidRequest") == error(store.batch(*operations))
    assert [] == store.keys(key)
    results = store.batch(*operations[1:]).json()["results"]
    assert [201] * 1000 == [result["status"] for result in results]
    assert [operation["key"] for operation in operations[1:]] == [
        result["record"]["key"] for result in results
    ]


def test_an_atomic_batch_that_can_be_is_done_whole(store: Store, key: str) -> None:
    store.have(f"{key}/put", f"{key}/del", f"{key}/get", f"{key}/subs")
    store.have(f"{key}/unsubs", subscribed=True)

    answer = store.batch(
        {"op": "set", "key": f"{key}/set", "value": 1},
        {"op": "put", "key": f"{key}/put", "value": 2},
        {"op": "put", "key": f"{key}/create", "value": 2, "create": True},
        {"op": "incr", "key": f"{key}/incr", "by": 3},
        {"op": "del", "key": f"{key}/del"},
        {"op": "subs", "key": f"{key}/subs"},
        {"op": "unsubs", "key": f"{key}/unsubs"},
        {"op": "get", "key": f"{key}/get"},
        atomic=True,
    )

    results = answer.json()["results"]
    assert 200 == answer.status_code
    assert [201, 200, 201, 200, 204, 200, 204, 200] == [result["status"] for result in results]
    names = ["create", "get", "incr", "put", "set", "subs", "unsubs"]
    assert [f"{key}/{name}" for name in names] == store.keys(key)
    assert [False] * 5 + [True, False] == [
        store.get(f"{key}/{name}").json()["subscribed"] for name in names
    ]


@pytest.mark.parametrize(
    ("failing", "name"),
    [
        ({"op": "set", "value": 1}, "KeyExists"),
        ({"op": "put", "value": 1, "if_match": "other"}, "VersionMismatch"),
        ({"op": "del", "if_match": "other"}, "VersionMismatch"),
        ({"op": "incr"}, "NotACounter"),
        ({"op": "unsubs"}, "NotSubscribed"),
        ({"op": "get", "key": "no-such-key"}, "KeyNotFound"),
        ({"op": "get", "key": "a//b"}, "InvalidKey"),
        ({"op": "put", "value": "x" * MAX_VALUE_BYTES}, "ValueTooLarge"),
    ],
)
def test_an_atomic_batch_that_cannot_be_leaves_everything_as_it_was(
    store: Store, key: str, failing: dict[str, object], name: str
) -> None:
    store.have(f"{key}/there", value="text", subscribed=False)
    store.have(f"{key}/put", f"{key}/del", f"{key}/unsubs", subscribed=True)
    before = store.getall(prefix=key).json()
    failing = {"key": f"{key}/there", **failing}

    answer = store.batch(
        {"op": "set", "key": f"{key}/set", "value": 1},
        {"op": "put", "key": f"{key}/put", "value": 2, "ttl": 1},
        {"op": "incr", "key": f"{key}/incr"},
        {"op": "del", "key": f"{key}/del"},
        {"op": "unsubs", "key": f"{key}/unsubs"},
        failing,
        {"op": "set", "key": f"{key}/after", "value": 1},
        atomic=True,
    )

    results = answer.json()["results"]
    assert (409, "BatchFailed") == error(answer)
    assert 7 == len(results)
    assert name == results[5]["error"]
    assert [] == [result for result in results if result["status"] < 400]
    assert before == store.getall(prefix=key).json()
    assert 3 == len(store.subscribed(key))


def test_after_an_atomic_batch_that_failed_the_etags_hold_as_before(store: Store, key: str) -> None:
    record = store.set(key).json()
    put = {"op": "put", "key": key, "value": 2}
    store.batch(put, {"op": "get", "key": f"{key}/missing"}, atomic=True)

    answer = store.put(key, headers={"If-Match": f'"{record["etag"]}"'})

    assert (200, 2) == (answer.status_code, state(answer.json())[0])
