"""How an endpoint's host is found."""

import socket
from typing import Any

import pytest

from kv_client import KVClient
from tests.servers import answering, record, success


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
