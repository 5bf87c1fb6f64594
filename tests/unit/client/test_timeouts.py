"""--timeout: it covers the whole command, whatever the server does."""

import time
from collections.abc import Iterator

import pytest

from tests.command_line import kv
from tests.servers import Reply, answering, failure, silence, success, trickle

_LIMIT = 0.3


@pytest.fixture(autouse=True)
def _within_the_limit() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("reply", [silence, trickle, failure(503, "EngineUnavailable")])
@pytest.mark.parametrize("words", [["get", "a"], ["del", "a", "b", "c"], ["getall"], ["export"]])
def test_a_command_ends_in_time_with_out_of_reach(reply: Reply, words: list[str]) -> None:
    with answering(reply) as server:
        ended = kv("--timeout", str(_LIMIT), "--retries", "1000", *words, endpoint=server.url)

    assert (7, "") == ended[:2]


def test_del_tries_no_further_key_once_the_time_is_over() -> None:
    with answering(silence) as server:
        ended = kv("--timeout", str(_LIMIT), "del", "a", "b", "c", endpoint=server.url)

    assert "kv-client: OutOfReach: not done within 0.3 seconds\n" == ended.stderr
    assert ["/keys/a"] == [request.target for request in server.requests]


def test_a_del_of_which_the_time_ended_a_part_is_done_in_part() -> None:
    with answering(success(None, 204), silence) as server:
        ended = kv("--timeout", str(_LIMIT), "del", "a", "b", endpoint=server.url)

    assert (8, "deleted a\n") == ended[:2]
    assert "not done within" in ended.stderr


def test_the_time_of_several_requests_adds_up() -> None:
    page = {"items": [], "cursor": "on"}

    with answering(success(page)) as server:
        ended = kv("--timeout", str(_LIMIT), "getall", endpoint=server.url)

    assert (7, "") == ended[:2]
    assert "not done within 0.3 seconds" in ended.stderr


def test_an_import_ends_in_time_too() -> None:
    with answering(silence) as server:
        ended = kv(
            "--timeout",
            str(_LIMIT),
            "import",
            "-",
            endpoint=server.url,
            stdin='{"key":"a","value":1}',
        )

    assert (7, "") == ended[:2]
    assert "line 1" not in ended.stderr


def test_in_the_shell_each_line_has_the_time_anew() -> None:
    with answering(success({"engine": "memory"})) as server:
        script = "status\n" * 30
        ended = kv("--timeout", "5", "shell", endpoint=server.url, stdin=script)

    assert 0 == ended.status
    assert 30 == len(server.requests)
