"""Retries: what is sent again, how, and what never is."""

import json
import socket
import threading
import time

import pytest

from kv_client.api import KVClient
from kv_client.errors import EngineUnavailable, KVError, OutOfReach
from tests.command_line import kv
from tests.servers import (
    Reply,
    answer,
    answering,
    failure,
    forward,
    forward_and_lose,
    record,
    reset,
    success,
)

FAILURES = [
    failure(500, "InternalError"),
    failure(502, "HandlerFailed"),
    failure(503, "EngineUnavailable"),
    failure(504, "HandlerTimeout"),
    answer(429, {"message": "slow down"}),
    answer(502, None),
    reset,
]


@pytest.mark.parametrize("failing", FAILURES)
@pytest.mark.parametrize(
    "words", [["get", "a"], ["set", "a", "1"], ["put", "a", "1"], ["incr", "a"], ["subs", "a"]]
)
def test_a_request_is_sent_again_until_it_succeeds(failing: Reply, words: list[str]) -> None:
    with answering(failing, failing, success(record())) as server:
        ended = kv(*words, endpoint=server.url)

    assert 0 == ended.status
    assert 3 == len(server.requests)
    assert [server.requests[0]] * 3 == server.requests


def test_retries_are_counted() -> None:
    with answering(failure(503, "EngineUnavailable")) as server:
        assert 7 == kv("get", "a", "--retries", "2", endpoint=server.url).status

    assert 3 == len(server.requests)


def test_without_retries_a_request_is_sent_once() -> None:
    with answering(failure(503, "EngineUnavailable")) as server:
        assert 7 == kv("get", "a", "--retries", "0", endpoint=server.url).status

    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    "failing",
    [
        failure(400, "InvalidRequest"),
        failure(404, "KeyNotFound"),
        failure(409, "KeyExists"),
        failure(412, "VersionMismatch"),
        failure(413, "ValueTooLarge"),
        failure(507, "StoreFull"),
        answer(403, {"message": "Forbidden"}),
        answer(301, None, Location="http://127.0.0.1:9/"),
    ],
)
def test_what_another_try_would_not_change_is_not_sent_again(failing: Reply) -> None:
    with answering(failing) as server:
        assert 0 != kv("put", "a", "1", endpoint=server.url).status

    assert 1 == len(server.requests)


def test_a_store_that_starts_meanwhile_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                body = json.dumps(record()).encode()
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nKV-Engine: memory\r\nConnection: close\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                )

        # Connections are refused until it listens; the client waits after the first try.
        monkeypatch.setattr(
            "kv_client.connection.time.sleep",
            lambda _: (listener.listen(), threading.Thread(target=accept).start()),
        )
        ended = kv("get", "a", endpoint=f"http://127.0.0.1:{port}")

    assert (0, "ashish\n") == ended[:2]


@pytest.mark.parametrize("failing", [*FAILURES[:4], reset])
def test_a_batch_that_may_have_been_carried_out_is_not_sent_again(failing: Reply) -> None:
    with (
        answering(failing, success({"results": []})) as server,
        KVClient(server.url) as client,
        pytest.raises(KVError),
    ):
        client.batch([{"op": "incr", "key": "a"}])

    assert 1 == len(server.requests)


def test_a_batch_that_was_throttled_is_sent_again() -> None:
    with (
        answering(answer(429, {}), success({"results": []})) as server,
        KVClient(server.url) as client,
    ):
        assert [] == client.batch([])


def test_a_delete_whose_answer_was_lost_is_done(gateway: str) -> None:
    kv("set", "retries/del", "1", endpoint=gateway)
    with answering(forward_and_lose(gateway), forward(gateway)) as server:
        ended = kv("del", "retries/del", endpoint=server.url)

    assert (0, "deleted retries/del\n", "") == ended


def test_a_delete_that_was_only_throttled_before_is_not_taken_for_done() -> None:
    with answering(answer(429, {}), failure(404, "KeyNotFound")) as server:
        assert 3 == kv("del", "a", endpoint=server.url).status


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["set", "retries/set", "1"], "set retries/set (version 1)\n"),
        (["put", "retries/put", "1", "--create"], "put retries/put (version 1)\n"),
        (["incr", "retries/incr"], "1\n"),
    ],
)
def test_a_write_whose_answer_was_lost_is_written_once(
    gateway: str, words: list[str], shown: str
) -> None:
    lose = forward_and_lose(gateway)
    with answering(lose, lose, forward(gateway)) as server:
        ended = kv(*words, endpoint=server.url)

    assert (0, shown, "") == ended
    assert '"version":1,' in kv("get", words[1], "--json", endpoint=gateway).stdout


def test_an_unsubs_whose_answer_was_lost_is_done(gateway: str) -> None:
    kv("set", "retries/unsubs", "1", endpoint=gateway)
    kv("subs", "retries/unsubs", endpoint=gateway)
    with answering(forward_and_lose(gateway), forward(gateway)) as server:
        assert 0 == kv("unsubs", "retries/unsubs", endpoint=server.url).status


@pytest.mark.parametrize("words", [["set", "a", "1"], ["put", "a", "1"], ["incr", "a"]])
def test_the_retries_of_a_command_carry_one_token_and_the_next_command_another(
    words: list[str],
) -> None:
    failing = failure(503, "EngineUnavailable")
    with answering(failing, failing, success(record()), failing, success(record())) as server:
        kv(*words, endpoint=server.url)
        kv(*words, endpoint=server.url)

    tokens = [request.headers["idempotency-key"] for request in server.requests]
    assert [tokens[0]] * 3 + [tokens[3]] * 2 == tokens
    assert tokens[0] != tokens[3]


def test_retry_after_is_waited_for() -> None:
    busy = failure(503, "EngineUnavailable", Retry_After="1")
    with answering(busy, success(record())) as server:
        started = time.monotonic()
        assert 0 == kv("get", "a", endpoint=server.url).status

    assert time.monotonic() - started >= 1


def test_a_retry_after_beyond_the_time_limit_is_not_waited_for() -> None:
    busy = failure(503, "EngineUnavailable", Retry_After="60")
    with answering(busy) as server, KVClient(server.url, timeout=5) as client:
        started = time.monotonic()
        with pytest.raises(EngineUnavailable) as raised:
            client.get("a")

    assert time.monotonic() - started < 4
    assert 60 == raised.value.retry_after


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "²", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_retry_after_that_is_no_whole_number_is_passed_over(text: str) -> None:
    busy = failure(503, "EngineUnavailable", Retry_After=text.encode().decode("latin-1"))
    with answering(busy, success(record())) as server:
        assert 0 == kv("get", "a", endpoint=server.url).status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with (
        answering(success(record())) as other,
        answering(answer(status, None, Location=f"{other.url}/keys/a")) as server,
    ):
        ended = kv("put", "a", "1", endpoint=server.url)

    assert (7, "") == ended[:2]
    assert other.url in ended.stderr
    assert [] == other.requests


def test_the_library_says_out_of_reach_where_nothing_listens() -> None:
    with KVClient("http://127.0.0.1:9", retries=0) as client, pytest.raises(OutOfReach):
        client.get("a")
