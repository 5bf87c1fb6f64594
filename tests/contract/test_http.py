"""The surface itself: bodies, paths, methods, and what every answer has."""

from collections.abc import Callable

import pytest
import requests

from tests.contract.store import MEBIBYTE, Store, error
from tests.contract.test_records import TIME

METHODS = {
    "/keys": {"GET", "POST"},
    "/keys/some/key": {"GET", "PUT", "DELETE"},
    "/subscriptions": {"GET"},
    "/subscriptions/some/key": {"PUT", "DELETE"},
    "/changes": {"GET"},
    "/counters/some/key": {"POST"},
    "/batch": {"POST"},
    "/status": {"GET"},
    "/openapi.json": {"GET"},
    "/docs": {"GET"},
}
SET_BODIES = [
    *("", "{", "}", "nope", "[]", "null", "1", '"text"', "{}", "[{}]", "{'key':'a','value':1}"),
    *('{"key":"KEY"}', '{"value":1}', '{"key":1,"value":1}', '{"key":null,"value":1}'),
    *('{"key":["KEY"],"value":1}', '{"key":"KEY","value":1,"nope":1}', '{"key":"KEY","value":1}}'),
    *('{"key":"KEY","value":1} x', '{"key":"KEY","value":1,}', '{"key":"KEY" "value":1}'),
    *('{"Key":"KEY","value":1}', '{"key":"KEY","value":1,"ttl":""}', '{"key":"KEY","value":1'),
    *('{"key":"KEY","value":1,"create":true}', '{"key":"KEY","value":1,"":1}', "\ufeff"),
]
PUT_BODIES = [
    *("", "{", "nope", "[]", "null", "1", '"text"', "{}", '{"ttl":1}', '{"value":1,"key":"a"}'),
    *('{"value":1,"nope":1}', '{"value":1,"ttl":"1"}', '{"value":1}{"value":2}'),
]
INCR_BODIES = ["{", "nope", "[]", "null", "1", '"x"', '{"by":1,"nope":1}', '{"value":1}', '{"by":}']
NOT_UTF_8 = [
    b"\xff",
    b'{"key":"KEY\xff","value":1}',
    b'{"key":"KEY","value":"\xc3"}',
    b'{"key":"KEY","value":"\xed\xa0\x80"}',
    b'{"key":"KEY","value":"\xc0\x80"}',
    '{"key":"KEY","value":1}'.encode("utf-16"),
    '{"key":"KEY","value":"é"}'.encode("latin-1"),
]


@pytest.mark.parametrize("body", SET_BODIES)
def test_set_refuses_another_body(store: Store, key: str, body: str) -> None:
    answer = store.send("POST", "/keys", body.replace("KEY", key))

    assert (400, "InvalidRequest") == error(answer)
    assert 404 == store.get(key).status_code


@pytest.mark.parametrize("body", PUT_BODIES)
def test_put_refuses_another_body(store: Store, key: str, body: str) -> None:
    record = store.set(key).json()

    assert (400, "InvalidRequest") == error(store.send("PUT", f"/keys/{key}", body))
    assert record == store.get(key).json()


@pytest.mark.parametrize("body", INCR_BODIES)
def test_incr_refuses_another_body(store: Store, key: str, body: str) -> None:
    assert (400, "InvalidRequest") == error(store.send("POST", f"/counters/{key}", body))
    assert 404 == store.get(key).status_code


@pytest.mark.gap("sam_start_api", "SAM answers 502 to a body that is not UTF-8")
@pytest.mark.gap("memory_stack", "dynamodb_stack", "the emulation replaces what is not UTF-8")
@pytest.mark.parametrize("body", NOT_UTF_8)
def test_a_body_that_is_not_utf_8_is_refused(store: Store, key: str, body: bytes) -> None:
    data = body.replace(b"KEY", key.encode())

    answers = [
        store.send("POST", "/keys", data),
        store.send("PUT", f"/keys/{key}", data),
        store.send("POST", f"/counters/{key}", data),
        store.send("POST", "/batch", data),
    ]

    assert [(400, "InvalidRequest")] * 4 == [error(answer) for answer in answers]


def test_white_space_between_the_tokens_of_a_body_does_not_matter(store: Store, key: str) -> None:
    body = f'\r\n {{\t"value" : 1 ,\n "key":"{key}" , "ttl" : null }} \n'

    assert 201 == store.send("POST", "/keys", body).status_code


def test_escapes_in_the_names_and_the_key_of_a_body_are_read(store: Store, key: str) -> None:
    body = rf'{{"k\u0065y":"{key}\u002Fa","valu\u0065":1}}'

    assert 201 == store.send("POST", "/keys", body).status_code
    assert 200 == store.get(f"{key}/a").status_code


@pytest.mark.gap("memory_stack", "dynamodb_stack", "the emulation signs other spellings of a query")
def test_query_parameters_that_no_route_knows_are_ignored(store: Store, key: str) -> None:
    made = store.send("POST", "/keys?nope=1&x", f'{{"key":"{key}","value":1}}')

    answer = store.send("GET", f"/keys/{key}?nope=1&limit=x&cursor=x&create=maybe")

    assert (201, 200) == (made.status_code, answer.status_code)
    assert [key] == store.keys(key, nope="1")
    assert 200 == store.send("GET", "/status?x=%ff&&=&%00").status_code


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/nope", "/keyss", "/KEYS", "/status/x", "/changes/x", "/nope/keys"),
        pytest.param(
            "/batch/",
            marks=pytest.mark.gap(
                "memory_stack", "dynamodb_stack", "the emulation drops a slash at the end"
            ),
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_path_that_is_not_known_is_not_found(store: Store, method: str, path: str) -> None:
    assert (404, "RouteNotFound") == error(store.send(method, path))


@pytest.mark.parametrize("path", METHODS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_a_method_that_a_known_path_does_not_know_is_not_allowed(
    store: Store, method: str, path: str
) -> None:
    if method in METHODS[path]:
        return

    answer = store.send(method, path)

    assert (405, "MethodNotAllowed") == error(answer)
    assert METHODS[path] == set(answer.headers["Allow"].split(", "))


ANSWERS: dict[str, tuple[int, Callable[[Store, str], requests.Response]]] = {
    "200": (200, lambda store, _: store.send("GET", "/status")),
    "201": (201, lambda store, key: store.set(key)),
    "204": (204, lambda store, key: store.set(key) and store.delete(key)),
    "304": (304, lambda store, key: store.set(key) and store.get(key, {"If-None-Match": "*"})),
    "400": (400, lambda store, _: store.send("POST", "/keys", "{")),
    "404 key": (404, lambda store, key: store.get(key)),
    "404 route": (404, lambda store, _: store.send("GET", "/nope")),
    "405": (405, lambda store, _: store.send("POST", "/status")),
    "409": (409, lambda store, key: store.set(key) and store.set(key)),
    "412": (
        412,
        lambda store, key: store.put(key, query="?create=true", headers={"If-Match": "*"}),
    ),
    "413": (413, lambda store, key: store.set(key, f'"{"x" * 400_000}"')),
    "a large body": (200, lambda store, _: store.getall(limit=1000)),
}


@pytest.mark.parametrize(("status", "ask"), ANSWERS.values(), ids=ANSWERS.keys())
def test_every_answer_names_engine_and_instance_and_is_not_to_be_kept(
    store: Store, key: str, status: int, ask: Callable[[Store, str], requests.Response]
) -> None:
    instance = store.send("GET", "/status").headers["KV-Instance"]

    answer = ask(store, key)

    assert status == answer.status_code
    assert (store.engine, instance, "no-store") == (
        answer.headers["KV-Engine"],
        answer.headers["KV-Instance"],
        answer.headers["Cache-Control"],
    )


def test_status_says_what_the_store_is(store: Store) -> None:
    answer = store.send("GET", "/status")

    status = answer.json()
    fields = "engine instance started_at version keys bytes max_bytes subscriptions topic"
    assert (200, set(fields.split())) == (answer.status_code, set(status))
    assert answer.headers["KV-Engine"] == status["engine"]
    assert answer.headers["KV-Instance"] == (status["instance"] or "")
    assert TIME.fullmatch(status["started_at"])
    assert status["version"]


def test_status_counts_keys_bytes_and_subscriptions_where_it_knows_them(
    store: Store, key: str
) -> None:
    before = store.send("GET", "/status").json()
    if before["keys"] is None:
        pytest.skip("this engine does not count")

    store.have(f"{key}/a", f"{key}/é", subscribed=True)
    store.set(f"{key}/b", '"鍵"')

    after = store.send("GET", "/status").json()
    assert (3, 2) == (
        after["keys"] - before["keys"],
        after["subscriptions"] - before["subscriptions"],
    )
    added = [(f"{key}/a", "1"), (f"{key}/é", "1"), (f"{key}/b", '"鍵"')]
    assert after["bytes"] - before["bytes"] == sum(
        len(name.encode()) + len(text.encode()) for name, text in added
    )
    assert after["bytes"] <= after["max_bytes"] == before["max_bytes"]


@pytest.mark.gap("sam_start_api", "SAM hands the request over, and the emulator cuts it")
@pytest.mark.gap("memory_stack", "dynamodb_stack", "API Gateway refuses it in words of its own")
def test_a_request_larger_than_lambda_carries_is_refused(store: Store, key: str) -> None:
    body = f'{{"key":"{key}","value":"{"x" * 6 * MEBIBYTE}"}}'

    assert (413, "RequestTooLarge") == error(store.send("POST", "/keys", body))
    assert 404 == store.get(key).status_code


def test_a_request_of_several_large_values_comes_through(store: Store, key: str) -> None:
    text = "x" * 380_000
    operations = [{"op": "set", "key": f"{key}/{n}", "value": text} for n in range(14)]

    results = store.batch(*operations).json()["results"]

    assert [201] * 14 == [result["status"] for result in results]


def test_an_error_tells_no_value(store: Store, key: str) -> None:
    store.set(key, '"s3cret"')

    answers = [
        store.set(key),
        store.incr(key),
        store.put(key, headers={"If-Match": '"other"'}),
        store.unsubs(key),
        store.put(key, '"s3cret'),
        store.put(key, '"s3cret"', ttl="x"),
        store.batch({"op": "incr", "key": key}),
        store.batch({"op": "incr", "key": key}, atomic=True),
    ]

    assert [] == [answer.text for answer in answers if "s3cret" in answer.text]


def test_a_caller_may_accept_older_data(store: Store, key: str) -> None:
    store.set(key)

    assert 200 == store.get(key, {"Cache-Control": "max-age=60"}).status_code
