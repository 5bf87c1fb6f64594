"""How an endpoint's host is found."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kv_client import KVClient
from kv_client.errors import HandlerFailed, OutOfReach
from tests.emulator import Answer, emulator, responds
from tests.servers import answer, answering, record, success


@pytest.fixture
def _resolver_that_knows_addresses_only(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def numeric(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        options["flags"] = options.get("flags", 0) | socket.AI_NUMERICHOST
        return look_up(host, port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", numeric)


@pytest.mark.usefixtures("_resolver_that_knows_addresses_only")
def test_a_name_under_localhost_is_this_machine_whatever_the_resolver_and_a_proxy_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering(success(record())) as server:
        address = server.url.replace("127.0.0.1", "kv-store.localhost")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.delenv("no_proxy", raising=False)
        with KVClient(address, retries=0) as kv:
            assert kv.get("name").value == "ashish"

    assert address.removeprefix("http://") == server.requests[0].headers["host"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_past_a_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with answering(answer(502)) as proxy, answering(success(record())) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        with KVClient(server.url.replace("127.0.0.1", host), retries=0) as kv:
            assert kv.get("name").value == "ashish"

    assert [] == proxy.requests


def test_another_machine_is_reached_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(success(record())) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with KVClient("http://store.example", retries=0) as kv:
            kv.get("name")

    assert "http://store.example/keys/name" == proxy.requests[0].target


def test_an_emulator_has_one_request_at_a_time_by_whichever_of_its_names() -> None:
    came, go_on = threading.Event(), threading.Event()

    def hold(_: dict[str, Any]) -> Answer:
        came.set()
        go_on.wait(30)
        return responds()

    with emulator(hold) as upstream, ThreadPoolExecutor() as pool:
        other_name = upstream.url.replace("127.0.0.1", "localhost")
        with (
            KVClient(upstream.url) as first,
            KVClient(other_name, retries=0, timeout=0.1) as second,
        ):
            answer = pool.submit(first.status)
            assert came.wait(30)
            with pytest.raises(OutOfReach, match="in time"):
                second.status()
            arrived = len(upstream.events)
            go_on.set()
            answer.result(30)

    assert 1 == arrived


def test_an_emulator_may_have_an_address_of_ipv6() -> None:
    with KVClient("rie://[::1]:9", retries=0) as kv, pytest.raises(OutOfReach, match="refused"):
        kv.status()


def test_an_emulator_leads_to_no_other_address() -> None:
    with answering(answer(200)) as other, answering(answer(307, Location=other.url)) as server:
        address = server.url.replace("http:", "rie:")
        with KVClient(address, retries=0) as kv, pytest.raises(HandlerFailed):
            kv.get("name")

    assert [] == other.requests
