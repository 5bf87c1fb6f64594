"""watch: every change as it happens, each once, through lost connections and lost stores."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from kv_client.api import KVClient
from tests import gateways
from tests.command_line import PROGRAM, kv
from tests.polling import eventually
from tests.servers import Reply, answer, answering, forward, forward_and_lose, reset

_QUICK = ("--interval", "0.02")


class Watching(NamedTuple):
    """A watch that runs: the lines that it wrote so far."""

    process: subprocess.Popen[str]
    stdout: list[str]
    stderr: list[str]

    def line(self, number: int) -> str:
        return eventually(lambda: self.stdout, lambda lines: len(lines) > number)[number].rstrip(
            "\n"
        )

    def told(self, text: str) -> bool:
        return bool(eventually(lambda: "".join(self.stderr), lambda told: text in told))

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


@contextmanager
def _watch(endpoint: str, *words: str) -> Iterator[Watching]:
    with subprocess.Popen(
        [*PROGRAM, "--endpoint", endpoint, "watch", *_QUICK, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watching = Watching(process, [], [])
        assert process.stdout
        assert process.stderr
        readers = [
            threading.Thread(target=lines.extend, args=(stream,))
            for lines, stream in (
                (watching.stdout, process.stdout),
                (watching.stderr, process.stderr),
            )
        ]
        for reader in readers:
            reader.start()
        try:
            assert watching.told("watching")
            yield watching
        finally:
            process.kill()
            for reader in readers:
                reader.join()


@pytest.fixture
def client(gateway: str) -> Iterator[KVClient]:
    with KVClient(gateway) as opened:
        yield opened


def _subscribed(client: KVClient, *keys: str) -> None:
    for key in keys:
        client.put(key, 0, create=True)
        client.subs(key)


def test_a_change_is_a_line_of_time_what_was_done_key_and_value(
    gateway: str, client: KVClient
) -> None:
    _subscribed(client, "watch/human")
    with _watch(gateway) as watching:
        client.put("watch/human", "one\ttwo")
        time, op, key, value = watching.line(0).split("\t")
        assert ("put", "watch/human", '"one\\ttwo"') == (op, key, value)
        assert 20 == len(time)
        client.delete("watch/human")
        assert ["del", "watch/human"] == watching.line(1).split("\t")[1:]
        assert 130 == watching.interrupt()
    assert 1 == len(watching.stderr)


def test_with_json_a_change_is_an_object_on_a_line(gateway: str, client: KVClient) -> None:
    _subscribed(client, "watch/json")
    with _watch(gateway, "--json") as watching:
        record = client.put("watch/json", {"a": ["\n", 1]})
        change = json.loads(watching.line(0))

    assert ["key", "op", "version", "etag", "value", "at"] == list(change)
    assert (record.etag, record.value) == (change["etag"], change["value"])


def test_only_the_named_keys_are_reported_and_one_without_subscription_is_told_of(
    gateway: str, client: KVClient
) -> None:
    _subscribed(client, "watch/named", "watch/other")
    with _watch(gateway, "watch/named", "watch/unknown") as watching:
        client.put("watch/other", 1)
        client.put("watch/named", 2)

        assert watching.line(0).endswith("\twatch/named\t2")
        assert watching.told("watch/unknown is not subscribed to")


def test_since_begins_where_an_earlier_watch_ended(gateway: str, client: KVClient) -> None:
    _subscribed(client, "watch/since")
    with _watch(gateway) as watching:
        watching.interrupt()
    cursor = watching.stderr[0].split()[3]
    client.put("watch/since", "meanwhile")

    with _watch(gateway, "--since", cursor) as watching:
        assert watching.line(0).endswith("\twatch/since\tmeanwhile")


def test_a_cursor_that_is_none_is_told_of_and_the_watch_goes_on(
    gateway: str, client: KVClient
) -> None:
    _subscribed(client, "watch/cursor")
    with _watch(gateway, "--since", "nonsense") as watching:
        assert watching.told("may have been missed")
        assert "begins here again" not in "".join(watching.stderr)
        eventually(lambda: client.put("watch/cursor", "then") and watching.stdout, bool)
        assert watching.line(0).endswith("\twatch/cursor\tthen")


@pytest.mark.parametrize("failing", [reset, answer(502, None), answer(429, {})])
def test_nothing_is_lost_and_nothing_twice_when_connections_drop(
    gateway: str, client: KVClient, failing: Reply
) -> None:
    key = "watch/dropped"
    _subscribed(client, key)
    lose, through = forward_and_lose(gateway), forward(gateway)
    replies = [through, through, *[lose, failing, through, failing, through] * 6, through]
    versions = []
    with (
        answering(*replies) as server,
        _watch(server.url, key, "--json", "--retries", "0") as watching,
    ):
        for number in range(8):
            versions.append(client.put(key, number).version)
            watching.line(number)
        watching.interrupt()

    assert versions == [json.loads(line)["version"] for line in watching.stdout]
    assert "the store answers again" in "".join(watching.stderr)


def test_a_store_that_restarts_is_told_of_and_watched_on() -> None:
    with gateways.gateway() as first:
        with KVClient(first.url) as client:
            _subscribed(client, "a")
        with _watch(first.url, "--json", "--retries", "0") as watching:
            first.process.terminate()
            first.process.wait(10)
            assert watching.told("trying on")
            with gateways.serve("--port", str(first.address[1])) as second:
                assert second.stdout
                second.stdout.readline()
                assert watching.told("may have been missed")
                with KVClient(first.url) as client:
                    _subscribed(client, "a")
                    eventually(lambda: client.put("a", "anew") and watching.stdout, bool)
                assert "anew" == json.loads(watching.line(0))["value"]
                assert 130 == watching.interrupt()
                second.terminate()
                second.communicate()
    assert 1 == "".join(watching.stderr).count("trying on")
    assert "Traceback" not in "".join(watching.stderr)


def test_a_command_runs_for_each_change(gateway: str, client: KVClient, tmp_path: Path) -> None:
    key = "watch/exec/it's"
    _subscribed(client, key)
    log = tmp_path / "log"
    command = f'cat >> {log}; echo "$KV_KEY $KV_OP $KV_VERSION" >> {log}; exit 3'
    with _watch(gateway, key, "--exec", command) as watching:
        client.put(key, "\u00e9")
        assert watching.told(f"{command!r} ended with 3")
        client.delete(key)
        eventually(log.read_text, lambda text: text.count("\n") == 4)

    first, environment, second, last = log.read_text().splitlines()
    assert "\u00e9" == json.loads(first)["value"]
    assert [f"{key} put 2", f"{key} del {json.loads(second)['version']}"] == [environment, last]


def test_a_command_that_does_not_read_its_stdin_is_fine(gateway: str, client: KVClient) -> None:
    key = "watch/unread"
    _subscribed(client, key)
    with _watch(gateway, key, "--exec", "true") as watching:
        client.put(key, "x" * 300_000)
        client.put(key, "then")
        eventually(lambda: watching.stdout, lambda lines: lines and lines[-1].endswith("then\n"))

    assert "Traceback" not in "".join(watching.stderr)


@pytest.mark.parametrize("quiet", [True, False])
def test_a_reader_that_goes_away_ends_a_watch_also_when_nothing_changes(
    gateway: str, client: KVClient, *, quiet: bool
) -> None:
    key = "watch/pipe"
    _subscribed(client, key)
    reader, writer = os.pipe()
    with (
        os.fdopen(writer, "w") as stdout,
        subprocess.Popen(
            [*PROGRAM, "--endpoint", gateway, "watch", *_QUICK, key],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        stdout.close()
        assert process.stderr
        process.stderr.readline()
        os.close(reader)
        if not quiet:
            client.put(key, 1)
        _, stderr = process.communicate(timeout=10)

    assert (0, "") == (process.returncode, stderr)


def test_no_credentials_for_a_watch_are_an_end_not_a_reason_to_wait() -> None:
    with answering(answer(403, {"message": "Forbidden"})) as server:
        assert 6 == kv("watch", "--since", "x", endpoint=server.url).status
