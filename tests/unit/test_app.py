"""The entry point: events in, answers out, defects neither hidden nor told."""

import base64
import json
from typing import Any

import msgspec
import pytest

from handler import routes
from handler.app import lambda_handler
from handler.store.memory.engine import MemoryStore
from kv_client.events import event_of

MEBIBYTE = 1024 * 1024


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """Return a store of the test's own, which the routes use meanwhile."""
    store = MemoryStore(64 * MEBIBYTE)
    monkeypatch.setattr(routes, "STORE", store)
    return store


def _ask(
    method: str, target: str, body: str = "", headers: dict[str, str] | None = None, **fields: Any
) -> tuple[int, dict[str, Any]]:
    event = event_of(method, target, headers or {}, body.encode()) | fields
    answer = lambda_handler(event, None)
    text = answer["body"] or "null"
    if answer["isBase64Encoded"]:
        text = base64.b64decode(text).decode()
    return answer["statusCode"], json.loads(text)


def test_a_body_may_come_as_base64(store: MemoryStore) -> None:
    body = base64.b64encode('{"key":"é","value":1}'.encode()).decode()

    status, record = _ask("POST", "/keys", body=body, isBase64Encoded=True)

    assert (201, "é") == (status, record["key"])


@pytest.mark.parametrize("body", [b"\xff", b"{", b""])
def test_a_bad_body_is_refused_also_as_base64(store: MemoryStore, body: bytes) -> None:
    encoded = base64.b64encode(body).decode()

    status, answer = _ask("POST", "/keys", body=encoded, isBase64Encoded=True)

    assert (400, "InvalidRequest") == (status, answer["error"])


@pytest.mark.parametrize("path", ["/keys/a%20b%2Fé", "/keys/a b/é", "/keys/a%20b/%C3%A9"])
def test_a_path_may_come_encoded_decoded_or_in_part(store: MemoryStore, path: str) -> None:
    store.set("a b/é", msgspec.Raw(b"1"))

    assert 200 == _ask("GET", path)[0]


@pytest.mark.parametrize("name", ["If-Match", "if-match", "IF-MATCH"])
def test_header_names_may_come_in_any_case(store: MemoryStore, name: str) -> None:
    store.set("a", msgspec.Raw(b"1"))
    event = event_of("PUT", "/keys/a", {}, b'{"value":2}') | {"headers": {name: '"other"'}}

    assert 412 == lambda_handler(event, None)["statusCode"]


def test_a_long_body_goes_out_as_base64_and_fits_lambda(store: MemoryStore) -> None:
    for number in range(15):
        store.set(f"{number}", msgspec.Raw(b'"' + b'\\"' * 195_000 + b'"'))

    answer = lambda_handler(event_of("GET", "/keys", {}, b""), None)

    assert answer["isBase64Encoded"]
    assert len(json.dumps(answer)) < 6 * MEBIBYTE
    assert base64.b64decode(answer["body"]).startswith(b'{"items":[{"key":"0"')


def test_a_full_store_answers_507_and_goes_on_with_reads_and_deletes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routes, "STORE", MemoryStore(10))
    _ask("POST", "/keys", '{"key":"a","value":123456789}')

    status, answer = _ask("POST", "/keys", '{"key":"b","value":1}')

    assert (507, "StoreFull") == (status, answer["error"])
    assert [200, 204] == [_ask(method, "/keys/a")[0] for method in ("GET", "DELETE")]


def test_a_defect_is_answered_without_a_trace_and_logged_whole(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("the inner workings")

    monkeypatch.setattr(store, "get", fail)

    answer = lambda_handler(event_of("GET", "/keys/a", {}, b""), None)

    assert 500 == answer["statusCode"]
    assert {"statusCode", "error", "message"} == set(json.loads(answer["body"]))
    assert "InternalError" == json.loads(answer["body"])["error"]
    assert "inner workings" not in answer["body"]
    assert "Traceback" not in answer["body"]
    assert "no-store" == answer["headers"]["Cache-Control"]
    [log] = caplog.records
    assert "ERROR" == log.levelname
    assert log.exc_info
    assert "the inner workings" == str(log.exc_info[1])


def test_an_error_that_the_contract_foresees_is_not_logged(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    _ask("GET", "/keys/a")
    _ask("GET", "/nope")

    assert [] == caplog.records
