"""The shell: scripts on stdin, and the prompt at a terminal."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from kv_client.shell import split
from tests import gateways
from tests.command_line import Ended, kv, process, start, written
from tests.polling import eventually

_UP, _TAB, _CTRL_C, _CTRL_D = "\x1b[A", "\t", "\x03", "\x04"


def _script(text: str, *options: str) -> Ended:
    return kv(*options, "shell", stdin=text)


def test_a_script_runs_line_by_line() -> None:
    ended = _script(
        "set name ashish\nget name\nput name ashish-sharma\nsubs name\nsuball\nput name x\n"
        "getall\ndel name\nsuball\nget name\n"
    )

    assert 3 == ended.status
    assert [
        "set name (version 1)",
        "ashish",
        "put name (version 2)",
        "subscribed to name",
        "name",
        "put name (version 3, subscribed)",
        "name\tx",
        "deleted name",
    ] == ended.lines
    assert ended.stderr.startswith("kv-client: KeyNotFound: ")


def test_no_command_at_all_is_the_shell() -> None:
    assert (0, "1\n", "") == kv(stdin="incr a\n")


def test_a_script_goes_on_after_a_failure_and_ends_with_the_first_ones_code() -> None:
    ended = _script("get missing\nnonsense\nset a 1\nset a 1\nget a\n")

    assert 3 == ended.status
    assert ["set a (version 1)", "1"] == ended.lines


def test_the_shells_own_endpoint_is_opened_only_for_commands_that_have_no_other() -> None:
    script = "set a 1 --endpoint local://\nget a --endpoint local://\n"

    assert (0, "set a (version 1)\n1\n", "") == kv("shell", stdin=script, endpoint="none://such")


@pytest.mark.parametrize("end", ["exit", "quit", "  exit  ", "exit\r", "exit # done"])
def test_exit_ends_a_script(end: str) -> None:
    assert (0, "1\n", "") == _script(f"incr a\n{end}\nincr a\n")


def test_blank_lines_and_comments_are_passed_over() -> None:
    assert (0, "1\n", "") == _script("\n   \n# incr a\n  # incr a\nincr a # once\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("set a b#c", ["set", "a", "b#c"]),
        ("set a '#b' \"#c\" \\#d #e", ["set", "a", "#b", "#c", "#d"]),
        ("set a 'b # c'", ["set", "a", "b # c"]),
        ("set a ''#b", ["set", "a", "#b"]),
        ("#", []),
        ("set 'it''s' \"a b\" c\\ d", ["set", "its", "a b", "c d"]),
        ('set a "\\"" # \'', ["set", "a", '"']),
        ("set a https://x/#y", ["set", "a", "https://x/#y"]),
    ],
)
def test_words_quotes_and_comments_are_those_of_other_shells(line: str, words: list[str]) -> None:
    assert words == split(line)
    assert words == split(line + "\n")


@pytest.mark.parametrize(
    ("script", "value"),
    [
        ("'two\nlines'", "two\nlines"),
        ('"a\nincr n\n" # why', "a\nincr n\n"),
        ("'a\n# b\n'", "a\n# b\n"),
        ("'it\"s'", 'it"s'),
        ('"a\'\n\\"\n"', "a'\n\"\n"),
        ("on\\\ne", "one"),
        ("\\\none", "one"),
        ('"on\\\ne\n"', "one\n"),
        ("'on\\\ne'", "on\\\ne"),
        ("on\\\\", "on\\"),
        ("one # a comment \\", "one"),
        ("one # it's a comment", "one"),
    ],
)
def test_a_command_goes_on_where_a_quotation_or_a_backslash_says_so(
    script: str, value: str
) -> None:
    ended = _script(f"set a {script}\nget a --raw\n")

    assert (0, f"set a (version 1)\n{value}", "") == ended


@pytest.mark.parametrize("quote", ["'", '"', "x\\\n'"])
def test_of_a_quotation_that_does_not_end_nothing_runs(quote: str) -> None:
    ended = _script(f"incr n\nset bad {quote}a\nincr n\ndel n\n")

    assert (2, "1\n") == ended[:2]
    assert ended.stderr.startswith("kv-client: No closing quotation: set bad ")
    assert 1 == ended.stderr.count("\n")


def test_help_explains_all_commands_or_one() -> None:
    every = _script("help\n")
    one = _script("help put\n")

    assert (0, "") == (every.status, every.stderr)
    assert all(name in every.stdout for name in ("getall", "incr", "watch", "import"))
    assert (0, "") == (one.status, one.stderr)
    assert "--if-match" in one.stdout
    assert "kv-client put" not in one.stdout
    assert 2 == _script("help nonsense\n").status
    assert all("end the shell" in _script(f"help{word}\n").stdout for word in ("", " exit"))
    assert "explain all commands, or one" in _script("help help\n").stdout


def test_the_usage_in_the_shell_names_the_command_alone() -> None:
    assert "usage: get [-h] [--raw] KEY\n" in _script("get\n").stderr


def test_the_shells_options_hold_for_its_commands_which_may_have_their_own(tmp_path: Path) -> None:
    ended = _script("set a 1\nget a --endpoint http://127.0.0.1:9 --retries 0\n", "--json")

    assert 7 == ended.status
    assert ended.stdout.startswith('{"key":"a"')


def test_a_script_reads_values_from_files_but_not_from_stdin(tmp_path: Path) -> None:
    name = written(tmp_path / "value", "from a file\n")

    ended = _script(f"set a @{name}\nget a --raw\nset b -\nset c - --literal\nimport -\n")

    assert (2, "set a (version 1)\nfrom a file\nset c (version 1)\n") == ended[:2]
    assert 2 == ended.stderr.count("stdin holds the script")
    assert 2 == ended.stderr.count("\n")


def test_each_line_of_a_script_shows_before_the_next_one_runs() -> None:
    ended = _script("incr a\nincr a --json\nincr a\n")

    assert ["1", "3"] == [ended.lines[0], ended.lines[2]]


def test_the_shell_itself_and_what_other_shells_read_are_none_of_its_commands() -> None:
    assert [2, 2] == [_script(f"{name}\n").status for name in ("shell", "completion zsh")]


def test_the_shell_serves_until_it_is_told_to_end() -> None:
    with start("shell", endpoint="local://", stdin=subprocess.PIPE) as program:
        assert program.stdin
        assert program.stdout
        program.stdin.write("serve --port 0\nincr a\n")
        program.stdin.close()
        served = program.stdout.readline()
        program.send_signal(signal.SIGTERM)
        after = program.stdout.read()

    assert served.startswith("serving local:// at http://127.0.0.1:")
    assert ("1\n", 0) == (after, program.wait(30))


def test_a_new_instance_is_told_within_the_shell_too() -> None:
    with gateways.gateway() as first:
        kv("status", endpoint=first.url)
        port = str(first.address[1])
    with gateways.serve("--port", port) as second:
        assert second.stdout
        second.stdout.readline()
        # A slash at its end makes no other endpoint.
        told = kv("shell", endpoint=f"{first.url}/", stdin="status\nstatus\n")
        second.terminate()
        second.communicate()

    assert 1 == told.stderr.count("is another instance than last time")
    assert told.stderr.startswith("kv-client: the store behind")


def test_no_instance_is_told_of_for_the_handler_in_this_process() -> None:
    process("status", endpoint="local://")

    assert b"" == process("status", endpoint="local://").stderr


def test_an_unwritable_state_folder_stops_no_command(
    monkeypatch: pytest.MonkeyPatch, gateway: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")

    assert (0, "") == kv("suball", endpoint=gateway)[::2]


@contextmanager
def _terminal(endpoint: str, *words: str, **environment: str) -> Iterator[pexpect.spawn]:
    """Run kv-client in a pseudo-terminal."""
    surroundings = os.environ | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"} | environment
    child = pexpect.spawn(
        sys.executable,
        ["-m", "kv_client", "--endpoint", endpoint, *words],
        env=surroundings,
        encoding="utf-8",
        timeout=20,
        dimensions=(40, 120),
    )
    try:
        yield child
    finally:
        child.close(force=True)


@contextmanager
def _prompt(endpoint: str, **environment: str) -> Iterator[pexpect.spawn]:
    with _terminal(endpoint, **environment) as child:
        child.expect("Ctrl-D ends")
        child.expect("kv>")
        yield child


def _end(child: pexpect.spawn) -> int | None:
    child.send(_CTRL_D)
    child.expect(pexpect.EOF)
    child.wait()
    status: int | None = child.exitstatus
    return status


def test_ctrl_d_ends_the_shell_with_0(gateway: str) -> None:
    with _prompt(gateway) as child:
        child.send("get missing\r")
        child.expect("KeyNotFound")

        assert 0 == _end(child)


def test_exit_ends_the_shell_at_a_terminal(gateway: str) -> None:
    with _prompt(gateway) as child:
        child.send("exit\r")
        child.expect(pexpect.EOF)
        child.wait()

        assert 0 == child.exitstatus


def test_ctrl_c_drops_the_line(gateway: str) -> None:
    with _prompt(gateway) as child:
        child.send("set terminal/dropped 1")
        child.expect("dropped 1")
        child.send(_CTRL_C)
        child.expect("kv>")
        child.send("get terminal/dropped\r")
        child.expect("KeyNotFound")

        assert 0 == _end(child)


def test_ctrl_c_interrupts_a_watch_and_the_shell_goes_on(gateway: str) -> None:
    with _prompt(gateway) as child:
        child.send("watch\r")
        child.expect("watching; --since")
        child.send(_CTRL_C)
        child.expect("interrupted")
        child.send("put terminal/watched yes --create\r")
        child.expect(r"version 1")

        assert 0 == _end(child)


def test_tab_completes_commands_and_keys(gateway: str) -> None:
    kv("put", "terminal/completed", "the value", "--create", endpoint=gateway)
    with _prompt(gateway) as child:
        child.send("subal" + _TAB)
        child.expect("subal.*l")
        child.send(_CTRL_C)
        child.send("get terminal/comp" + _TAB)
        child.expect("leted")
        child.send("\r")
        child.expect("the value")

        assert 0 == _end(child)


def test_the_history_outlives_the_shell_and_holds_lines_not_files(
    gateway: str, tmp_path: Path
) -> None:
    name = written(tmp_path / "secret", "hunter2")
    with _prompt(gateway) as child:
        child.send(f"put terminal/history @{name} --create\r")
        child.expect("version 1")
        _end(child)
    with _prompt(gateway) as child:
        child.send(_UP)
        child.expect("terminal/history @")
        child.send(_CTRL_C)
        _end(child)

    history = next(tmp_path.rglob("history"))
    assert "hunter2" not in history.read_text()
    assert 0o600 == history.stat().st_mode & 0o777


def test_complaints_are_red_at_a_terminal_and_plain_with_no_color(gateway: str) -> None:
    with _terminal(gateway, "get", "missing") as child:
        child.expect(pexpect.EOF)
        coloured = child.before
    with _terminal(gateway, "get", "missing", NO_COLOR="1") as child:
        child.expect(pexpect.EOF)
        plain = child.before

    assert "\x1b[31mkv-client: KeyNotFound" in coloured
    assert "\x1b" not in plain
    assert "KeyNotFound" in plain


def test_an_import_shows_its_progress_at_a_terminal_only(gateway: str, tmp_path: Path) -> None:
    name = written(tmp_path / "lines", '{"key":"terminal/import","value":1}\nnonsense\n')
    with _terminal(gateway, "import", name) as child:
        child.expect("100%")
        child.expect("1 failed")
        child.expect(pexpect.EOF)
        child.wait()

        assert 8 == child.exitstatus
    assert "%" not in kv("import", name, endpoint=gateway).stderr


def test_a_value_is_typed_at_the_terminal_with_a_dash(gateway: str) -> None:
    with _prompt(gateway) as child:
        child.send("put terminal/typed - --create\r")
        child.expect("create")
        child.send("typed\n")
        eventually(lambda: child.send(_CTRL_D), bool)
        child.expect("version 1")

        assert 0 == _end(child)
    assert "typed\n" == kv("get", "terminal/typed", "--raw", endpoint=gateway).stdout
