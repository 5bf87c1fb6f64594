"""Streams of the process: pipes that close, disks that are full, locales, signals, colours."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from kv_client.api import KVClient
from tests.command_line import PROGRAM, Terminal, kv, process, written
from tests.polling import eventually
from tests.servers import answering, silence


@pytest.fixture(scope="session")
def large(gateway: str) -> str:
    """Return a prefix under which the store holds more than a pipe does."""
    with KVClient(gateway) as client:
        client.batch(
            {"op": "put", "key": f"large/{number}", "value": "x" * 1000, "create": True}
            for number in range(1000)
        )
    return "large/"


@pytest.mark.parametrize("command", [["getall"], ["export"], ["getall", "--json"], ["shell"]])
def test_a_reader_that_goes_away_ends_a_command_quietly(
    gateway: str, large: str, command: list[str], tmp_path: Path
) -> None:
    script = written(tmp_path / "script", f"getall {large}\n" * 3)
    words = command if command == ["shell"] else [*command, large]
    with (
        Path(script).open() as stdin,
        subprocess.Popen(
            [*PROGRAM, "--endpoint", gateway, *words],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as program,
    ):
        assert program.stdout
        assert program.stderr
        program.stdout.readline()
        program.stdout.close()
        stderr = program.stderr.read()

    assert (0, b"") == (program.returncode, stderr)


@pytest.mark.parametrize(
    "words", [["--help"], ["get", "--help"], ["get", "name"], ["config", "path"]]
)
def test_a_pipe_that_was_closed_before_is_quiet_too(gateway: str, words: list[str]) -> None:
    process("put", "name", "x", "--create", endpoint=gateway)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        done = subprocess.run(
            [*PROGRAM, "--endpoint", gateway, *words],
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert (0, b"") == (done.returncode, done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "words", [["--help"], ["getall", "large/"], ["status"], ["completion", "zsh"]]
)
def test_a_full_disk_is_no_success_and_no_traceback(
    gateway: str, large: str, words: list[str]
) -> None:
    with Path("/dev/full").open("w") as stdout:
        done = subprocess.run(
            [*PROGRAM, "--endpoint", gateway, *words],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert 1 == done.returncode
    assert 1 == done.stderr.count("\n")
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("words", ["--help", "put name x --create", "get name", "get name --raw"])
def test_a_closed_stdout_is_no_success_and_no_traceback(gateway: str, words: str) -> None:
    process("put", "name", "x", "--create", endpoint=gateway)
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {words} >&-', "sh", *PROGRAM, "--endpoint", gateway],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert (1, "kv-client: can't write the output: Bad file descriptor\n") == (
        done.returncode,
        done.stderr,
    )


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1"])
def test_values_are_utf_8_whatever_the_locale(gateway: str, locale: str) -> None:
    surroundings = {"LC_ALL": locale, "PYTHONIOENCODING": "ascii"}
    value = "caf\u00e9 🗝️\r\n\u0000"

    made = process(
        "put", "lo\u00e9", "-", "--create", endpoint=gateway, stdin=value.encode(), **surroundings
    )
    read = process("get", "lo\u00e9", "--raw", endpoint=gateway, **surroundings)

    assert 0 == made.returncode, made.stderr
    assert value.encode() == read.stdout


@pytest.mark.parametrize("words", [["get", "name"], ["import", "-"], ["watch"]])
def test_ctrl_c_ends_with_130_and_no_traceback(words: list[str]) -> None:
    with (
        answering(silence) as server,
        subprocess.Popen(
            [*PROGRAM, "--endpoint", server.url, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as program,
    ):
        assert program.stdin
        program.stdin.write(b'{"key":"a","value":1}\n')
        program.stdin.close()
        eventually(lambda: server.requests, bool)
        program.send_signal(signal.SIGINT)
        program.wait(10)
        assert program.stdout
        assert program.stderr

        assert (130, b"", b"") == (program.returncode, program.stdout.read(), program.stderr.read())


def test_a_complaint_is_red_at_a_terminal_only() -> None:
    terminal = Terminal()

    assert "\x1b" not in kv("get", "name").stderr
    assert kv("get", "name", stderr=terminal).stderr.startswith("\x1b[31mkv-client: KeyNotFound")


def test_wrong_usage_is_red_at_a_terminal_too() -> None:
    assert kv("get", stderr=Terminal()).stderr.startswith("\x1b[31mkv-client: the following")


def test_no_color_keeps_a_terminal_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b" not in kv("get", "name", stderr=Terminal()).stderr


def test_a_failure_leaves_stdout_empty_for_every_command(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    failing = [
        ["set", "a", "1"],
        ["get", "a"],
        ["put", "a", "1"],
        ["del", "a"],
        ["getall"],
        ["subs", "a"],
        ["unsubs", "a"],
        ["suball"],
        ["incr", "a"],
        ["watch"],
        ["export"],
        ["import", written(tmp_path / "lines", '{"key":"a","value":1}')],
        ["status"],
    ]

    ended = [kv("--retries", "0", *words, endpoint=nowhere) for words in failing]

    assert [(7, "")] * len(failing) == [each[:2] for each in ended]
    assert all("out of reach" in each.stderr for each in ended)


def test_json_lines_hold_one_object_each(gateway: str) -> None:
    words = [
        ["put", "json-lines/a", '{"a":\n1}', "--json-value", "--create"],
        ["getall", "json-lines/"],
        ["export", "json-lines/"],
        ["subs", "json-lines/a"],
        ["suball"],
        ["incr", "json-lines/n"],
        ["status"],
        ["unsubs", "json-lines/a"],
        ["config", "set", "local", "endpoint", "local://"],
        ["config", "show"],
        ["config", "path"],
        ["del", "json-lines/n"],
    ]

    for each in words:
        ended = kv("--json", *each, endpoint=gateway)

        assert 0 == ended.status, ended
        assert ended.lines
        assert all(isinstance(json.loads(line), dict) for line in ended.lines), each
