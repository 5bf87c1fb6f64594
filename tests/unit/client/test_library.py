"""KVClient: the verbs as methods, and the store as a mapping."""

import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import kv_client
from handler import errors as handler_errors
from kv_client import JSON, Change, KVClient, Record, errors
from tests.runtimes import ROOT
from tests.servers import answering, forward, record, success

USER = """
from kv_client import JSON, Change, KVClient, Record
from kv_client.errors import KeyNotFound, VersionMismatch

with KVClient("local://", timeout=5.0, retries=0) as kv:
    record: Record = kv.set("name", {"a": [1, 2.5, None]}, ttl=60)
    etag: str = record.etag
    kv.put("name", JSON("1.10"), if_match=etag, ttl=None)
    keys: list[str] = [found.key for found in kv.getall("n")]
    changes, cursor = kv.changes()
    for change in changes:
        op: str = change.op
    kv["name"] = "ashish"
    length: int = len(kv)
    try:
        kv.delete("name", if_match="other")
    except (KeyNotFound, VersionMismatch) as error:
        message: str = error.message
"""


@pytest.fixture
def kv() -> Iterator[KVClient]:
    with KVClient("local://") as opened:
        yield opened


def test_set_makes_a_record_with_every_field(kv: KVClient) -> None:
    record = kv.set("name", {"first": "ashish"}, ttl=60)

    assert isinstance(record, Record)
    assert ("name", {"first": "ashish"}, 1, False) == (
        record.key,
        record.value,
        record.version,
        record.subscribed,
    )
    assert record.expires_at
    assert datetime.now(UTC) < record.expires_at
    assert record.created_at.tzinfo
    assert record == kv.get("name")


def test_set_of_a_key_that_is_there_raises_key_exists(kv: KVClient) -> None:
    kv.set("name", 1)

    with pytest.raises(errors.KeyExists):
        kv.set("name", 2)


def test_put_changes_creates_and_holds_to_an_etag(kv: KVClient) -> None:
    with pytest.raises(errors.KeyNotFound):
        kv.put("name", 1)
    first = kv.put("name", 1, create=True)
    second = kv.put("name", 2, if_match=first.etag)

    assert (1, 2) == (first.version, second.version)
    with pytest.raises(errors.VersionMismatch):
        kv.put("name", 3, if_match=first.etag)
    assert 3 == kv.put("name", 3, if_match="*").value


def test_put_leaves_sets_and_removes_the_expiry(kv: KVClient) -> None:
    kv.set("name", 1, ttl=60)

    assert kv.put("name", 2).expires_at
    assert kv.put("name", 2, ttl=None).expires_at is None
    assert kv.put("name", 2, ttl=5).expires_at


def test_delete_holds_to_an_etag_and_says_what_is_missing(kv: KVClient) -> None:
    record = kv.set("name", 1)

    with pytest.raises(errors.VersionMismatch):
        kv.delete("name", if_match="other")
    kv.delete("name", if_match=record.etag)
    with pytest.raises(errors.KeyNotFound):
        kv.delete("name")


def test_getall_and_suball_go_over_all_pages(kv: KVClient) -> None:
    keys = [f"key/{number:04}" for number in range(2500)]
    for start in range(0, len(keys), 1000):
        kv.batch({"op": "set", "key": key, "value": 1} for key in keys[start : start + 1000])
    for start in range(0, len(keys), 1000):
        kv.batch({"op": "subs", "key": key} for key in keys[start : start + 1000])

    assert keys == [record.key for record in kv.getall("key/")]
    assert keys[:10] == [record.key for record in kv.getall("key/000", page_size=3)]
    assert keys == list(kv.suball())
    assert keys == list(kv)
    assert len(keys) == len(kv)


def test_subscriptions_are_made_reported_and_ended(kv: KVClient) -> None:
    kv.set("name", 1)
    assert kv.subs("name").subscribed
    nothing, since = kv.changes()
    record = kv.put("name", {"a": 1})
    changes, after = kv.changes(since)

    assert [] == nothing
    [change] = changes
    assert isinstance(change, Change)
    assert ("name", "put", 2, record.etag, {"a": 1}) == (
        change.key,
        change.op,
        change.version,
        change.etag,
        change.value,
    )
    kv.delete("name")
    [gone] = kv.changes(after)[0]
    assert ("del", None) == (gone.op, gone.value)
    with pytest.raises(errors.InvalidCursor):
        kv.changes("nonsense")


def test_unsubs_says_what_is_missing(kv: KVClient) -> None:
    kv.set("name", 1)
    kv.subs("name")
    kv.unsubs("name")

    with pytest.raises(errors.NotSubscribed):
        kv.unsubs("name")
    with pytest.raises(errors.KeyNotFound):
        kv.unsubs("missing")


def test_incr_adds_and_refuses_what_is_no_counter(kv: KVClient) -> None:
    assert [1, 6, -4] == [kv.incr("n").value, kv.incr("n", 5).value, kv.incr("n", -10).value]
    kv.set("name", "text")
    with pytest.raises(errors.NotACounter):
        kv.incr("name")


def test_batch_answers_each_operation_and_an_atomic_one_raises_with_the_results(
    kv: KVClient,
) -> None:
    operations = [{"op": "set", "key": "a", "value": 1}, {"op": "get", "key": "b"}]

    with pytest.raises(errors.BatchFailed) as raised:
        kv.batch(operations, atomic=True)
    assert "a" not in kv
    assert [201, 404] == [result["status"] for result in kv.batch(operations)]
    assert 404 in [result["status"] for result in raised.value.results]
    with pytest.raises(errors.InvalidRequest):
        kv.batch([{"op": "nonsense", "key": "a"}])


def test_status_tells_of_the_store(kv: KVClient) -> None:
    assert "memory" == kv.status()["engine"]


def test_it_is_a_mapping_of_keys_to_values(kv: KVClient) -> None:
    assert isinstance(kv, MutableMapping)
    kv["b"] = [1, None]
    kv["a"] = "x"
    kv["a"] = "y"

    assert "y" == kv["a"]
    assert ("a" in kv, "missing" in kv, 5 in kv, "bad%key" in kv) == (True, False, False, False)
    assert ["a", "b"] == list(kv)
    assert {"a": "y", "b": [1, None]} == dict(kv.items())
    assert ["y", [1, None]] == list(kv.values())
    assert 2 == len(kv)
    del kv["a"]
    with pytest.raises(KeyError):
        kv["a"]
    with pytest.raises(KeyError):
        del kv["a"]


def test_items_and_values_come_with_the_listing() -> None:
    page = {"items": [record("a", 1), record("b", 2)], "cursor": None}

    with answering(success(page)) as server, KVClient(server.url) as kv:
        assert ([("a", 1), ("b", 2)], [1, 2]) == (list(kv.items()), list(kv.values()))

    assert {"/keys"} == {request.target.partition("?")[0] for request in server.requests}


def test_a_mappings_other_methods_work_too(kv: KVClient) -> None:
    kv.update({"a": 1}, b=2)

    assert (1, 3) == (kv.setdefault("a", 9), kv.setdefault("c", 3))
    assert (1, "no") == (kv.pop("a"), kv.pop("a", "no"))
    assert ("b", 2) == kv.popitem()
    kv.update({f"k{number}": number for number in range(1500)})
    kv.clear()
    assert {} == dict(kv.items())


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, 10**400, "", "🗝️\u0000\n", [], {"a": {"b": [1]}}, "\ud800"]
)
def test_a_value_comes_back_as_it_went_in(kv: KVClient, value: Any) -> None:
    kv["name"] = value

    assert value == kv["name"]


def test_json_text_is_stored_as_it_stands(kv: KVClient) -> None:
    assert "1.10" == kv.set("a", JSON("1.10")).json
    assert '{"x" : 1e400}' == kv.set("b", JSON(' {"x" : 1e400}\n')).json


@pytest.mark.parametrize("text", ["", "nonsense", "NaN", '1,"ttl":5', "1}", "[1"])
def test_json_of_what_is_none_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="JSON is malformed"):
        JSON(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_what_json_does_not_know_is_refused(kv: KVClient, value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        kv["name"] = value
    with pytest.raises(TypeError):
        kv["name"] = object()
    assert "name" not in kv


@pytest.mark.parametrize("method", ["get", "delete", "subs", "unsubs", "incr"])
def test_a_bad_key_is_refused_before_anything_is_sent(method: str) -> None:
    with KVClient("http://127.0.0.1:9", retries=0) as client, pytest.raises(errors.InvalidKey):
        getattr(client, method)("a//b")


def test_every_error_of_the_contract_is_there_by_its_name() -> None:
    names = {
        name
        for name, kind in vars(handler_errors).items()
        if isinstance(kind, type) and issubclass(kind, handler_errors.KVError)
    }

    assert names <= set(errors.__all__)
    assert all(getattr(errors, name).__name__ == name for name in errors.__all__ if name != "named")


def test_an_error_is_the_same_through_every_endpoint(kv: KVClient, gateway: str) -> None:
    with KVClient(gateway) as there:
        for client in (kv, there):
            with pytest.raises(errors.KeyNotFound) as raised:
                client.get("missing")
            assert isinstance(raised.value, KeyError)
            assert raised.value.message == str(raised.value)


def test_a_client_is_closed_with_its_context(gateway: str) -> None:
    with answering(forward(gateway)) as server:
        with KVClient(server.url) as client:
            client.status()
        pools = client.connection.endpoint.session.get_adapter(server.url).poolmanager.pools  # type: ignore[attr-defined]

        assert 0 == len(pools)


def test_a_client_that_was_closed_asks_nothing(kv: KVClient) -> None:
    kv.close()

    with pytest.raises(RuntimeError, match="closed"):
        kv.status()


def test_an_endpoint_that_is_none_is_an_endpoint_error() -> None:
    with pytest.raises(errors.EndpointError, match="none of http"):
        KVClient("nonsense")


def test_the_package_offers_what_it_lists_and_nothing_else() -> None:
    assert all(getattr(kv_client, name) for name in kv_client.__all__)
    with pytest.raises(AttributeError):
        _ = kv_client.nonsense


def test_a_program_that_uses_the_library_passes_mypy_strict(tmp_path: Path) -> None:
    program = tmp_path / "user.py"
    program.write_text(USER)

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(program)],
        capture_output=True,
        cwd=tmp_path,
        env={"MYPYPATH": f"{ROOT}:{ROOT / 'client'}", "MYPY_CACHE_DIR": str(tmp_path / "cache")},
        text=True,
        check=False,
    )

    assert "Success: no issues found in 1 source file\n" == done.stdout
    subprocess.run([sys.executable, program], check=True)
