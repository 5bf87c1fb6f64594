"""The commands: what each prints on stdout, plain and with --json, and its exit code."""

import json
import re

import pytest

from tests.command_line import kv
from tests.servers import Reply, answering, reset, success

ETAG = re.compile(r"[\w-]+")
FIELDS = [
    "key",
    "value",
    "version",
    "etag",
    "created_at",
    "updated_at",
    "expires_at",
    "subscribed",
]


def _etag(key: str) -> str:
    etag: str = json.loads(kv("--json", "get", key).stdout)["etag"]
    return etag


def test_set_confirms_in_one_line() -> None:
    assert (0, "set name (version 1)\n", "") == kv("set", "name", "ashish")


def test_set_with_a_time_to_live_says_when_the_key_expires() -> None:
    ended = kv("set", "name", "ashish", "--ttl", "60")

    assert ended.status == 0
    assert re.fullmatch(r"set name \(version 1, expires [0-9T:-]{19}Z\)\n", ended.stdout)


def test_set_of_a_key_that_is_there_is_a_conflict() -> None:
    kv("set", "name", "ashish")

    ended = kv("set", "name", "other")

    assert (4, "") == ended[:2]
    assert ended.stderr.startswith("kv-client: KeyExists: ")
    assert "ashish\n" == kv("get", "name").stdout


@pytest.mark.parametrize("command", ["set", "put", "get", "subs", "incr"])
def test_with_json_a_command_about_one_record_prints_it_on_one_line(command: str) -> None:
    words = {"set": ["new", "1"], "put": ["old", "2"], "incr": ["old"]}.get(command, ["old"])
    kv("set", "old", "1", "--json-value")

    ended = kv(command, *words, "--json")

    assert ended.status == 0
    assert len(ended.lines) == 1
    assert FIELDS == list(json.loads(ended.stdout))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('"ashish"', "ashish"),
        ('""', ""),
        ('"two\\nlines\\ttab"', "two\nlines\ttab"),
        ('"\\u0007"', "\u0007"),
        ('"\\ud800"', '"\\ud800"'),
        ('"caf\\u00e9 🗝️"', "café 🗝️"),
        ("1.10", "1.10"),
        ("12345678901234567890", "12345678901234567890"),
        ("null", "null"),
        ("true", "true"),
        ('{"a" : [1,  2]}', '{"a" : [1,  2]}'),
        ('{\n "a": 1\n}', '{\n "a": 1\n}'),
    ],
)
def test_get_prints_a_string_as_it_is_and_anything_else_as_json(value: str, shown: str) -> None:
    kv("set", "name", value, "--json-value")

    assert (0, shown + "\n", "") == kv("get", "name")
    assert (0, shown, "") == kv("get", "name", "--raw")


def test_get_of_a_missing_key_is_not_found() -> None:
    ended = kv("get", "name")

    assert (3, "") == ended[:2]
    assert ended.stderr.startswith("kv-client: KeyNotFound: ")


def test_put_confirms_in_one_line() -> None:
    kv("set", "name", "ashish")

    assert (0, "put name (version 2)\n", "") == kv("put", "name", "ashish-sharma")


def test_put_says_that_the_key_is_subscribed_to() -> None:
    kv("set", "name", "ashish")
    kv("subs", "name")

    assert "put name (version 2, subscribed)\n" == kv("put", "name", "x").stdout


def test_put_of_a_missing_key_is_not_found_unless_it_may_create() -> None:
    assert (3, "") == kv("put", "name", "x")[:2]
    assert (0, "put name (version 1)\n", "") == kv("put", "name", "x", "--create")


def test_put_leaves_the_expiry_as_it_is_unless_told_a_new_one() -> None:
    kv("set", "name", "x", "--ttl", "60")

    kept = json.loads(kv("put", "name", "y", "--json").stdout)["expires_at"]
    longer = json.loads(kv("put", "name", "y", "--ttl", "600", "--json").stdout)["expires_at"]
    removed = json.loads(kv("put", "name", "y", "--ttl", "none", "--json").stdout)["expires_at"]

    assert kept < longer
    assert removed is None


@pytest.mark.parametrize("command", ["put", "del"])
def test_if_match_takes_the_etag_as_json_shows_it(command: str) -> None:
    kv("set", "name", "x")
    value = ["y"] if command == "put" else []

    assert (4, "") == kv(command, "name", *value, "--if-match", "other")[:2]
    assert 0 == kv(command, "name", *value, "--if-match", _etag("name")).status


def test_if_match_takes_an_etag_in_quotes_and_the_star() -> None:
    kv("set", "name", "x")

    assert 0 == kv("put", "name", "y", "--if-match", f'"{_etag("name")}"').status
    assert 0 == kv("put", "name", "y", "--if-match", "*").status


def test_del_prints_a_line_a_key() -> None:
    kv("set", "a", "1")
    kv("set", "b", "2")

    assert (0, "deleted a\ndeleted b\n", "") == kv("del", "a", "b")
    assert "" == kv("getall").stdout


def test_with_json_del_and_unsubs_print_the_key() -> None:
    kv("set", "a/é", "1")
    kv("subs", "a/é")

    assert (0, '{"key": "a/é"}\n', "") == kv("unsubs", "a/é", "--json")
    assert (0, '{"key": "a/é"}\n', "") == kv("del", "a/é", "--json")


def test_del_of_several_keys_of_which_one_is_missing_is_done_in_part() -> None:
    kv("set", "a", "1")

    ended = kv("del", "missing", "a")

    assert (8, "deleted a\n") == ended[:2]
    assert "KeyNotFound" in ended.stderr


def test_del_of_several_missing_keys_is_not_found() -> None:
    assert (3, "") == kv("del", "a", "b")[:2]


@pytest.mark.parametrize(
    ("first", "code", "printed", "left"),
    [(reset, 7, "", "b c d"), (success(None, 204), 8, "deleted a\n", "c d")],
)
def test_del_tries_no_further_key_of_a_store_out_of_reach(
    first: Reply, code: int, printed: str, left: str
) -> None:
    with answering(first, reset) as server:
        ended = kv("del", "a", "b", "c", "d", "--retries", "0", endpoint=server.url)

    assert (code, printed) == ended[:2]
    assert ended.stderr.endswith(f"kv-client: so these were not tried: {left}\n")
    assert 2 == ended.stderr.count("\n")


def test_getall_prints_key_tab_value_in_order_of_the_keys_bytes() -> None:
    for key in ("b", "a/2", "é", "a", "B", "🗝️"):
        kv("set", key, f"value of {key}")

    expected = "".join(f"{key}\tvalue of {key}\n" for key in ("B", "a", "a/2", "b", "é", "🗝️"))
    assert (0, expected, "") == kv("getall")


def test_get_all_is_another_name_of_getall() -> None:
    kv("set", "a", "1")

    assert kv("getall") == kv("get-all")


def test_getall_of_a_prefix_prints_the_keys_that_begin_so() -> None:
    for key in ("a", "ab", "b"):
        kv("set", key, "x")

    assert ["a\tx", "ab\tx"] == kv("getall", "a").lines
    assert (0, "", "") == kv("getall", "c")


def test_getall_keys_only_leaves_the_values_out() -> None:
    kv("set", "a", "1")
    kv("set", "b", "2")

    assert "a\nb\n" == kv("getall", "--keys-only").stdout


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('"a\\tb"', '"a\\tb"'),
        ('"a\\nb"', '"a\\nb"'),
        ('"a\\rb"', '"a\\rb"'),
        ('"\\u001b[31m"', '"\\u001b[31m"'),
        ('"\\u007f"', '"\\u007f"'),
        ('"\\ud800"', '"\\ud800"'),
        ('"plain"', "plain"),
        ('{\n "a": "b\\n"\r\n}', '{  "a": "b\\n"  }'),
    ],
)
def test_getall_keeps_every_value_on_a_line_of_its_own(value: str, shown: str) -> None:
    kv("set", "name", value, "--json-value")

    assert f"name\t{shown}\n" == kv("getall").stdout


def test_getall_and_export_with_json_print_a_record_a_line() -> None:
    kv("set", "a", "[1,\n2]", "--json-value")
    kv("set", "b", "two\nlines")

    for ended in (kv("getall", "--json"), kv("export"), kv("export", "--json")):
        assert 2 == ended.stdout.count("\n")
        assert '"value":[1, 2]' in ended.lines[0]
        assert "two\nlines" == json.loads(ended.lines[1])["value"]


def test_subs_unsubs_and_suball_confirm_and_list() -> None:
    kv("set", "b", "1")
    kv("set", "a", "1")

    assert (0, "subscribed to b\n", "") == kv("subs", "b")
    assert (0, "subscribed to a\n", "") == kv("subs", "a")
    assert (0, "a\nb\n", "") == kv("suball")
    assert (0, '{"key": "a"}\n{"key": "b"}\n', "") == kv("suball", "--json")
    assert (0, "unsubscribed from a\n", "") == kv("unsubs", "a")
    assert "b\n" == kv("suball").stdout


def test_unsubs_of_what_nobody_subscribed_to_is_not_found() -> None:
    kv("set", "a", "1")

    assert "NotSubscribed" in kv("unsubs", "a").stderr
    assert 3 == kv("unsubs", "a").status
    assert 3 == kv("unsubs", "missing").status
    assert 3 == kv("subs", "missing").status


def test_incr_prints_the_new_number() -> None:
    assert (0, "1\n", "") == kv("incr", "visits")
    assert (0, "6\n", "") == kv("incr", "visits", "5")
    assert (0, "-4\n", "") == kv("incr", "visits", "-10")


def test_incr_of_text_is_a_conflict() -> None:
    kv("set", "name", "ashish")

    assert (4, "") == kv("incr", "name")[:2]


def test_status_prints_the_stores_status_and_the_round_trip() -> None:
    kv("set", "a", "1")

    lines = dict(line.split(None, 1) for line in kv("status").lines)
    report = json.loads(kv("status", "--json").stdout)

    assert ("local://", "memory", "1") == (lines["endpoint"], lines["engine"], lines["keys"])
    assert "-" == lines["topic"]
    assert list(lines) == list(report)
    assert report["round_trip_ms"] > 0


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "get", "name"],
        ["get", "--json", "name"],
        ["get", "name", "--json"],
        ["--json", "get", "name", "--json"],
    ],
)
def test_an_option_stands_before_or_behind_the_command(words: list[str]) -> None:
    kv("set", "name", "ashish")

    assert kv("get", "name", "--json").stdout == kv(*words).stdout


def test_an_option_behind_the_command_wins() -> None:
    ended = kv("get", "name", "--endpoint", "local://", endpoint="nonsense")

    assert 3 == ended.status


def test_a_key_with_every_odd_character_is_shown_as_it_is() -> None:
    key = "a b+c'd~e=f&g:h@i,j;k$l!m*(n)/🗝️/cafe\u0301"
    kv("set", key, "x")

    assert f"{key}\n" == kv("getall", "--keys-only").stdout
    assert "x\n" == kv("get", key).stdout
    assert f"deleted {key}\n" == kv("del", key).stdout


def test_help_explains_all_commands_or_one() -> None:
    assert kv("--help") == kv("help")
    assert kv("put", "--help") == kv("help", "put")
    assert "the ARN of a queue" in kv("help", "subs").stdout
