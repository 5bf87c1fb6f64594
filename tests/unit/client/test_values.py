"""VALUE: text, a file, stdin, JSON; read byte for byte."""

from pathlib import Path

import pytest

from tests.command_line import kv, process, written

BYTES = "two\r\nlines\ttab, caf\u00e9 🗝️ \u0000\u001b\u2028 and a last newline\n"


def test_a_file_is_taken_byte_for_byte(tmp_path: Path) -> None:
    kv("set", "name", "@" + written(tmp_path / "value", BYTES))

    assert BYTES == kv("get", "name", "--raw").stdout


def test_stdin_is_taken_byte_for_byte() -> None:
    kv("set", "name", "-", stdin=BYTES)

    assert BYTES == kv("get", "name", "--raw").stdout


def test_an_empty_file_and_an_empty_stdin_are_empty_values(tmp_path: Path) -> None:
    kv("set", "file", "@" + written(tmp_path / "empty", ""))
    kv("set", "stdin", "-", stdin="")

    assert "file\t\nstdin\t\n" == kv("getall").stdout


@pytest.mark.parametrize("value", ["-", "@missing", "@", "@@"])
def test_a_literal_is_text_whatever_it_begins_with(value: str) -> None:
    assert 0 == kv("set", "name", value, "--literal").status
    assert f"{value}\n" == kv("get", "name").stdout


@pytest.mark.parametrize("value", ["", " ", "-5", "a @b", "- x", "{}", "null", "\u0001", "a\nb"])
def test_other_text_is_taken_as_a_string(value: str) -> None:
    assert 0 == kv("set", "name", value).status
    assert f"{value}\n" == kv("get", "name").stdout
    assert '"value":"' in kv("get", "name", "--json").stdout


def test_behind_two_dashes_a_value_may_begin_with_one() -> None:
    assert 0 == kv("set", "name", "--", "--text").status
    assert "--text\n" == kv("get", "name").stdout


def test_a_file_that_is_missing_is_wrong_usage_and_named(tmp_path: Path) -> None:
    ended = kv("set", "name", f"@{tmp_path}/missing")

    assert (2, "") == ended[:2]
    assert f"{tmp_path}/missing" in ended.stderr
    assert "--literal" in ended.stderr


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert 2 == kv("set", "name", f"@{tmp_path}").status


def test_bytes_that_are_not_utf_8_are_wrong_usage(tmp_path: Path) -> None:
    assert 2 == kv("set", "name", "@" + written(tmp_path / "latin", b"caf\xe9")).status
    assert 2 == kv("set", "name", "-", stdin=b"caf\xe9").status
    assert 3 == kv("get", "name").status


def test_an_argument_that_is_not_utf_8_is_wrong_usage(gateway: str) -> None:
    ended = process("set", "not-utf-8", b"caf\xe9", endpoint=gateway)

    assert (2, b"") == (ended.returncode, ended.stdout)


@pytest.mark.parametrize(
    "text", ['{"a":1.10}', " [1, 2]\n", "1e400", '"\\ud800"', "[" * 600 + "]" * 600]
)
def test_a_json_value_keeps_its_text(text: str) -> None:
    assert 0 == kv("set", "name", text, "--json-value").status
    assert text.strip() in kv("get", "name", "--json").stdout


@pytest.mark.parametrize(
    "text",
    ["", "ashish", "{a:1}", "[1,]", "01", "NaN", "Infinity", "1 2", '"\t"', "'a'", '1,"ttl":5'],
)
def test_a_json_value_that_is_not_json_is_wrong_usage(text: str) -> None:
    ended = kv("set", "name", text, "--json-value")

    assert (2, "") == ended[:2]
    assert "is not JSON" in ended.stderr


def test_a_json_value_is_read_from_a_file_and_from_stdin(tmp_path: Path) -> None:
    kv("set", "file", "@" + written(tmp_path / "value", '{"a": 1.10}\n'), "--json-value")
    kv("set", "stdin", "-", "--json-value", stdin='{"a": 1.10}\n')

    assert 'file\t{"a": 1.10}\nstdin\t{"a": 1.10}\n' == kv("getall").stdout


def test_json_value_and_literal_exclude_each_other() -> None:
    assert 2 == kv("set", "name", "1", "--json-value", "--literal").status


def test_a_value_of_384_kib_is_taken_and_a_longer_one_refused() -> None:
    longest = 384 * 1024 - 2

    assert 0 == kv("set", "name", "-", stdin="x" * longest).status
    assert 5 == kv("put", "name", "-", stdin="x" * (longest + 1)).status
    assert longest == len(kv("get", "name", "--raw").stdout)
