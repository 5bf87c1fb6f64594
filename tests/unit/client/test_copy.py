"""kv-client copy: two gateways, each with a store of its own."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from kv_client import JSON, KVClient
from kv_client.cli import run
from kv_client.context import Streams
from kv_client.copy import copy
from kv_client.status import ExitStatus
from tests import gateways


@pytest.fixture
def source() -> Iterator[KVClient]:
    with gateways.gateway() as running, KVClient(running.url) as client:
        yield client


@pytest.fixture
def target() -> Iterator[KVClient]:
    with gateways.gateway() as running, KVClient(running.url) as client:
        yield client


def refuse(message: str) -> None:
    pytest.fail(message)


def test_values_expiries_and_subscriptions_arrive(source: KVClient, target: KVClient) -> None:
    source.set("price", JSON('{"eur":\n 1.10}'))
    source.set("session", "s", ttl=3600)
    source.set("watched", 1)
    source.subs("watched")

    result = copy(source, target, refuse)

    assert result.same
    assert target.get("price").json == '{"eur":\n 1.10}'
    assert target.get("watched").subscribed
    left, right = source.get("session").expires_at, target.get("session").expires_at
    assert left
    assert right
    assert abs(left - right) < timedelta(seconds=2)


def test_both_sides_are_counted_and_hashed(source: KVClient, target: KVClient) -> None:
    source.batch({"op": "set", "key": f"k{number}", "value": number} for number in range(10))

    result = copy(source, target, refuse)

    assert (result.source.records, result.target.records) == (10, 10)
    assert result.source.sha256 == result.target.sha256


def test_the_hash_differs_where_a_value_does(source: KVClient, target: KVClient) -> None:
    source.set("k", 1)
    before = copy(source, target, refuse)
    source.put("k", 2)

    after = copy(source, target, refuse)

    assert before.source.sha256 != after.source.sha256


def test_what_is_there_already_is_not_copied_again(source: KVClient, target: KVClient) -> None:
    source.set("k", 1)
    copy(source, target, refuse)

    assert copy(source, target, refuse).copied == 0


def test_a_value_that_only_its_line_breaks_tell_apart_is_copied(
    source: KVClient, target: KVClient
) -> None:
    source.set("k", JSON('{ "a":1}'))
    target.set("k", JSON('{\n"a":1}'))

    result = copy(source, target, refuse)

    assert (True, 1) == (result.same, result.copied)
    assert target.get("k").json == '{ "a":1}'


def test_a_record_that_does_not_fit_is_named_once_with_the_reason(source: KVClient) -> None:
    source.set("large", "x" * 300_000)
    named: list[str] = []
    with gateways.gateway(KV_MAX_BYTES="200000") as running, KVClient(running.url) as small:
        result = copy(source, small, named.append)

    assert not result.same
    [complaint] = named
    assert complaint.startswith("large: the store holds ")


def test_what_only_the_target_holds_stays_and_is_named(source: KVClient, target: KVClient) -> None:
    source.set("k", 1)
    target.set("a", "mine")
    target.set("z", "mine")

    result = copy(source, target, refuse)

    assert (result.only_in_target, result.examples) == (2, ["a", "z"])
    assert result.same
    assert target.get("a").value == "mine"


class _WrittenMeanwhile(KVClient):
    """A store that somebody writes to each time its listing ends."""

    def __init__(self, endpoint: str, write: Callable[[KVClient], object], times: int) -> None:
        super().__init__(endpoint)
        self._write = write
        self._times = times

    def pages(self, *args: object, **kwargs: object) -> Iterator[dict[str, str]]:
        yield from super().pages(*args, **kwargs)  # type: ignore[arg-type]
        if self._times:
            self._times -= 1
            self._write(self)


def test_writes_that_happen_meanwhile_are_caught_up(source: KVClient, target: KVClient) -> None:
    source.set("k", 1)
    with _WrittenMeanwhile(source.connection.endpoint.url, lambda kv: kv.incr("k"), 2) as busy:
        result = copy(busy, target, refuse)

    assert result.same
    assert target.get("k").value == source.get("k").value == 3


def test_a_record_that_never_stays_the_same_is_named(source: KVClient, target: KVClient) -> None:
    source.set("busy", 1)
    source.set("calm", 1)
    named: list[str] = []
    with _WrittenMeanwhile(source.connection.endpoint.url, lambda kv: kv.incr("busy"), 99) as busy:
        result = copy(busy, target, named.append)

    assert not result.same
    assert named == ["busy: it is not the same on both sides"]


def test_the_command_says_what_both_sides_hold(source: KVClient, target: KVClient) -> None:
    source.set("k", 1)
    streams = Streams(None, io.StringIO(), io.StringIO())
    urls = [client.connection.endpoint.url for client in (source, target)]

    status = run(["copy", *urls, "--json"], streams)

    report = json.loads(streams.stdout.getvalue())  # type: ignore[attr-defined]
    assert status == ExitStatus.OK
    assert report["same"] is True
    assert report["source"] == report["target"]
    assert report["source"]["records"] == report["copied"] == 1
