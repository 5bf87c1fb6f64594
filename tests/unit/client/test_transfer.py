"""export and import: faithful to the byte, and honest about what was done."""

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kv_client.api import JSON, KVClient
from tests import gateways
from tests.command_line import PROGRAM, Ended, kv, process, written
from tests.polling import eventually
from tests.servers import Reply, answering, failure, forward, forward_and_lose, silence, success

ODD_VALUES = {
    "number": "1.10",
    "exponent": "-0.0E+400",
    "digits": "9" * 5000,
    "deep": "[" * 5000 + "]" * 5000,
    "deep-object": '{"a":' * 3000 + "1" + "}" * 3000,
    "surrogate": '"\\ud800"',
    "surrogate-in-name": '{"\\udfff": "\\ud83d\\ude00"}',
    "spacing": '{ "a" :\t[ 1 , 2 ] ,  "b":{ } }',
    "names-twice": '{"a":1,"a":2}',
    "escapes": '"\\u00e9\\/\\n"',
    "text": '"caf\u00e9 cafe\u0301 🗝️ \u2028\u0085\x7f"',
    "null": "null",
    "empty": '""',
    "keys/with space+~🗝️": "true",
}


def _import(lines: str | bytes, *options: str, endpoint: str = "local://") -> Ended:
    return kv("import", "-", "--json", *options, stdin=lines, endpoint=endpoint)


def _counts(
    created: int = 0, changed: int = 0, unchanged: int = 0, skipped: int = 0, failed: int = 0
) -> dict[str, int]:
    return {
        "created": created,
        "changed": changed,
        "unchanged": unchanged,
        "skipped": skipped,
        "failed": failed,
    }


def _line(key: str, value: Any = 1, **fields: Any) -> str:
    return json.dumps({"key": key, "value": value, **fields}) + "\n"


def _state() -> dict[str, tuple[str, str | None, bool]]:
    """Return what the store holds but for versions and times of writing."""
    with KVClient("local://") as client:
        return {
            record.key: (
                record.json,
                record.expires_at and f"{record.expires_at:%Y-%m-%dT%H:%M}",
                record.subscribed,
            )
            for record in client.getall()
        }


def _fill() -> None:
    with KVClient("local://") as client:
        for key, value in ODD_VALUES.items():
            client.set(key, JSON(value))
        client.set("expiring", 1, ttl=100_000_000)
        client.set("subscribed", 1)
        client.subs("subscribed")


@pytest.fixture
def exported() -> str:
    _fill()
    return kv("export").stdout


def _empty() -> None:
    with KVClient("local://") as client:
        client.clear()


def test_what_was_exported_comes_back_to_the_byte(exported: str) -> None:
    before = _state()
    _empty()

    ended = _import(exported)

    assert (0, "") == (ended.status, ended.stderr)
    assert _counts(created=len(before)) == json.loads(ended.stdout)
    assert before == _state()
    assert ODD_VALUES.items() <= {key: value for key, (value, _, _) in before.items()}.items()


@pytest.mark.parametrize("command", ["export", "getall"])
def test_what_is_there_already_is_left_alone(exported: str, command: str) -> None:
    before = kv("export").stdout

    ended = _import(kv(command, "--json").stdout)

    assert _counts(unchanged=before.count("\n")) == json.loads(ended.stdout)
    assert before == kv("export").stdout


def test_line_breaks_between_tokens_are_spaces_after_an_export() -> None:
    kv("set", "a", '{\n "a":\r\n1}', "--json-value")
    before = kv("export").stdout

    assert _counts(unchanged=1) == json.loads(_import(before).stdout)
    kv("del", "a")
    _import(before)

    assert '{  "a":  1}\n' == kv("get", "a").stdout


@pytest.mark.skipif(not shutil.which("jq"), reason="there is no jq here")
def test_import_takes_what_jq_prints_of_an_export() -> None:
    for key, value in (("a", '{"b": [1, "\u00e9"]}'), ("b", "1.5"), ("c", "null")):
        kv("set", key, value, "--json-value", "--ttl", "1000")
    printed = [
        subprocess.run(
            ["jq", "-c", *more, "."],
            input=kv("export").stdout,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for more in ([], ["--sort-keys"])
    ]
    _empty()

    assert _counts(created=3) == json.loads(_import(printed[0]).stdout)
    assert [_counts(unchanged=3)] * 2 == [json.loads(_import(each).stdout) for each in printed]


def test_only_key_and_value_are_needed_and_a_subscription_then_stays() -> None:
    kv("set", "a", "1")
    kv("subs", "a")

    ended = _import(_line("a", 2) + _line("b", 2))

    assert _counts(created=1, changed=1) == json.loads(ended.stdout)
    assert {"a": ("2", None, True), "b": ("2", None, False)} == _state()


def test_an_import_subscribes_and_unsubscribes_as_the_lines_say() -> None:
    kv("set", "a", "1", "--json-value")
    kv("subs", "a")

    ended = _import(_line("a", 1, subscribed=False) + _line("b", 1, subscribed=True))

    assert _counts(created=1, changed=1) == json.loads(ended.stdout)
    assert {"a": ("1", None, False), "b": ("1", None, True)} == _state()


@pytest.mark.parametrize(
    ("mode", "counts", "state"),
    [
        (
            "replace",
            _counts(created=1, changed=1, unchanged=1),
            {"new": "1", "old": "2", "same": "1"},
        ),
        ("set", _counts(created=1, unchanged=1, skipped=1), {"new": "1", "old": "1", "same": "1"}),
        ("put", _counts(changed=1, unchanged=1, skipped=1), {"old": "2", "same": "1"}),
    ],
)
def test_a_mode_does_what_it_may_and_a_dry_run_says_so_without_writing(
    mode: str, counts: dict[str, int], state: dict[str, str]
) -> None:
    _import(_line("old") + _line("same"))
    lines = _line("new") + _line("old", 2) + _line("same")
    before = kv("export").stdout

    dry = _import(lines, "--mode", mode, "--dry-run")
    assert before == kv("export").stdout
    real = _import(lines, "--mode", mode)

    assert (0, counts) == (dry.status, json.loads(dry.stdout))
    assert (0, counts) == (real.status, json.loads(real.stdout))
    assert state == {key: value for key, (value, _, _) in _state().items()}


@pytest.mark.parametrize("mode", ["replace", "set", "put"])
def test_a_dry_run_tells_the_numbers_of_the_real_run_for_odd_files_too(mode: str) -> None:
    _import(_line("a") + _line("b"))
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    lines = (
        _line("a", 2)
        + _line("a", 2)
        + _line("a", 3)
        + _line("c")
        + _line("c")
        + _line("c", 2)
        + _line("b", 1, subscribed=True)
        + _line("b", 1)
        + _line("b", 1, expires_at=soon)
        + _line("b", 1, expires_at=soon)
        + _line("x" * 2000)
        + _line("late", 1, expires_at="2020-01-01T00:00:00Z")
        + _line("far", 1, expires_at="2999-01-01T00:00:00Z")
        + _line("big", "x" * 400_000)
        + "nonsense\n"
    )

    dry = _import(lines, "--mode", mode, "--dry-run")
    real = _import(lines, "--mode", mode)

    assert (8, 8) == (dry.status, real.status)
    assert json.loads(real.stdout) == json.loads(dry.stdout)
    assert real.stderr == dry.stderr


def test_of_a_key_twice_in_a_file_the_last_line_wins() -> None:
    ended = _import(_line("a", 1) + _line("b", 1) + _line("a", 2) + _line("a", 2))

    assert _counts(created=2, changed=1, unchanged=1) == json.loads(ended.stdout)
    assert "2\n" == kv("get", "a").stdout


MALFORMED = [
    "nonsense",
    "[]",
    "{}",
    '{"key":"a"}',
    '{"value":1}',
    '{"key":1,"value":1}',
    '{"key":"a","value":}',
    '{"key":"a","value":NaN}',
    '{"key":"a","value":1} x',
    '{"key":"a","value":1}{"key":"b","value":1}',
    '{"key":"a","value":1,"other":1}',
    '{"key":"a","value":1,"expires_at":"soon"}',
    '{"key":"a","value":1,"expires_at":5}',
    '{"key":"a","value":1,"expires_at":"2030-01-01T00:00:00"}',
    '{"key":"a","value":1,"expires_at":"2999-01-01T00:00:00Z"}',
    '{"key":"a","value":1,"expires_at":"9999-12-31T23:59:59-23:59"}',
    '{"key":"a","value":1,"subscribed":"yes"}',
    '{"key":"","value":1}',
    '{"key":"a%b","value":1}',
    '{"key":"\\ud800","value":1}',
    f'{{"key":"{"x" * 1025}","value":1}}',
    f'{{"key":"a","value":"{"x" * 393_216}"}}',
    '{"key":"a","value":' + "[" * 5000 + "]" * 4999 + "}",
    b'{"key":"a","value":"\xff"}',
    b"\xef\xbb\xbf{",
    " " * (4 * 1024 * 1024) + '{"key":"a","value":1}',
]


@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_malformed_line_is_named_by_its_number_and_the_rest_goes_on(
    malformed: str | bytes,
) -> None:
    text = malformed.encode() if isinstance(malformed, str) else malformed

    ended = _import(_line("before").encode() + b"\n" + text + b"\r\n" + _line("after").encode())

    assert 8 == ended.status
    assert _counts(created=2, failed=1) == json.loads(ended.stdout)
    assert re.fullmatch(r"kv-client: line 3: [^\n]+\n", ended.stderr)
    assert {"before", "after"} == _state().keys()


def test_a_last_line_needs_no_line_break_and_blank_lines_are_none() -> None:
    ended = _import("\n \r\n" + _line("a") + "\n" + _line("b").rstrip())

    assert (0, _counts(created=2)) == (ended.status, json.loads(ended.stdout))


def test_a_file_may_begin_with_a_byte_order_mark() -> None:
    ended = _import(b"\xef\xbb\xbf" + _line("a").encode())

    assert (0, _counts(created=1)) == (ended.status, json.loads(ended.stdout))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "a record is a JSON object, one a line"),
        (_line("a", expires_at="soon"), "expires_at is a time with its zone"),
        (_line("a", expires_at=5), "expires_at is a time with its zone"),
        (_line("a", subscribed="yes"), "subscribed is true, false or null"),
    ],
)
def test_a_malformed_line_says_what_would_be_right(line: str, said: str) -> None:
    assert _import(line).stderr.startswith(f"kv-client: line 1: {said}")


def test_an_empty_file_is_imported() -> None:
    assert (0, "0 created, 0 changed, 0 unchanged, 0 skipped, 0 failed\n", "") == kv("import", "-")


def test_a_dry_run_says_that_it_is_one() -> None:
    ended = kv("import", "-", "--dry-run", stdin=_line("a"))

    assert "would be: 1 created, 0 changed, 0 unchanged, 0 skipped, 0 failed\n" == ended.stdout


def test_a_file_is_imported_and_a_missing_one_is_wrong_usage(tmp_path: Path) -> None:
    assert 0 == kv("import", written(tmp_path / "lines", _line("a"))).status
    assert (2, "") == kv("import", str(tmp_path / "missing"))[:2]
    assert (2, "") == kv("import", str(tmp_path))[:2]


def test_many_large_values_go_in_and_out_though_no_request_carries_them_all() -> None:
    lines = "".join(_line(f"large/{number:03}", "x" * 393_000) for number in range(40))

    created = _import(lines)
    again = _import(lines)

    assert _counts(created=40) == json.loads(created.stdout)
    assert _counts(unchanged=40) == json.loads(again.stdout)
    assert 40 == kv("export").stdout.count("\n")


def test_small_lines_for_large_records_are_looked_up_one_by_one() -> None:
    _import("".join(_line(f"large/{number:03}", "x" * 393_000) for number in range(30)))

    ended = _import(
        "".join(_line(f"large/{number:03}", 1, subscribed=True) for number in range(30))
    )

    assert _counts(changed=30) == json.loads(ended.stdout)


def test_more_lines_with_subscriptions_than_a_request_takes_go_in() -> None:
    lines = "".join(_line(f"{number:04}", 1, subscribed=True) for number in range(1500))

    assert _counts(created=1500) == json.loads(_import(lines).stdout)
    assert 1500 == len(kv("suball").lines)


@pytest.mark.parametrize("mode", ["replace", "set"])
def test_an_import_whose_answers_were_lost_counts_every_line_once(gateway: str, mode: str) -> None:
    lines = "".join(_line(f"lost/{mode}/{number}", number, subscribed=True) for number in range(5))
    with answering(forward(gateway), forward_and_lose(gateway), forward(gateway)) as server:
        ended = _import(lines, "--mode", mode, endpoint=server.url)

    assert (0, "", _counts(created=5)) == (ended.status, ended.stderr, json.loads(ended.stdout))


def test_subscriptions_that_a_lost_try_ended_are_no_failure(gateway: str) -> None:
    _import(_line("lost/unsubs", 1, subscribed=True), endpoint=gateway)
    with answering(forward(gateway), forward_and_lose(gateway), forward(gateway)) as server:
        ended = _import(_line("lost/unsubs", 1, subscribed=False), endpoint=server.url)

    assert (0, _counts(changed=1)) == (ended.status, json.loads(ended.stdout))


def test_a_store_out_of_reach_ends_an_import_with_7() -> None:
    with answering(failure(503, "EngineUnavailable")) as server:
        ended = _import(_line("a"), "--retries", "1", endpoint=server.url)

    assert (7, "") == ended[:2]


@pytest.mark.parametrize(
    "lost", [failure(503, "EngineUnavailable"), failure(507, "StoreFull"), silence]
)
def test_an_import_that_loses_its_store_says_what_was_done(gateway: str, lost: Reply) -> None:
    lines = _line("partly", 1) + _line("partly", 2)
    kv("del", "partly", endpoint=gateway)
    there = forward(gateway)
    with answering(there, there, lost) as server:
        ended = _import(lines, "--retries", "0", "--timeout", "2", endpoint=server.url)

    assert (8, _counts(created=1)) == (ended.status, json.loads(ended.stdout))
    assert ended.stderr


def test_an_import_that_the_store_refuses_whole_ends_with_its_code(gateway: str) -> None:
    with answering(forward(gateway), failure(507, "StoreFull")) as server:
        assert (5, "") == _import(_line("refused"), endpoint=server.url)[:2]


def _busy(*errors: str) -> Reply:
    results = [{"status": 0, "error": error, "message": "so it is"} for error in errors]
    return success({"results": results})


def test_what_the_engine_could_not_do_just_now_is_sent_again(gateway: str) -> None:
    busy = _busy("EngineUnavailable")
    # Nothing could be subscribed to where nothing was made.
    half = _busy("EngineUnavailable", "KeyNotFound")
    there = forward(gateway)
    with answering(busy, there, half, there) as server:
        ended = _import(_line("busy", 1, subscribed=True), endpoint=server.url)

    assert (0, "", _counts(created=1)) == (ended.status, ended.stderr, json.loads(ended.stdout))
    assert server.requests[2] == server.requests[3]
    assert '"subscribed":true' in kv("--json", "get", "busy", endpoint=gateway).stdout


def test_what_the_engine_can_never_do_fails_after_the_retries(gateway: str) -> None:
    with answering(forward(gateway), _busy("EngineUnavailable")) as server:
        ended = _import(_line("never"), "--retries", "2", endpoint=server.url)

    assert (8, _counts(failed=1)) == (ended.status, json.loads(ended.stdout))
    assert "kv-client: line 1: so it is\n" == ended.stderr
    assert 4 == len(server.requests)


def test_a_subscription_that_could_not_be_made_is_no_success_of_the_key_before_it(
    gateway: str,
) -> None:
    half = _busy("KeyExists", "EngineUnavailable")
    with answering(forward(gateway), half, forward(gateway)) as server:
        line = _line("half", 1, subscribed=True)
        ended = _import(line, "--mode", "set", "--retries", "0", endpoint=server.url)

    assert (8, _counts(failed=1)) == (ended.status, json.loads(ended.stdout))


@pytest.mark.parametrize("results", [[], {}, [{}], [{"record": None}], [5]])
def test_results_that_are_no_stores_are_out_of_reach(results: object) -> None:
    with answering(success({"results": results})) as server:
        ended = _import(_line("a"), endpoint=server.url)

    assert (7, "") == ended[:2]
    assert "is it a kv-store?" in ended.stderr


def test_an_import_that_was_killed_and_run_again_ends_in_the_same_state(tmp_path: Path) -> None:
    lines = [
        _line(f"k{number:05}", "v" * 100, subscribed=number % 7 == 0) for number in range(20_000)
    ]
    file = written(tmp_path / "lines", "".join(lines))
    with gateways.gateway() as running, KVClient(running.url) as client:
        with subprocess.Popen(
            [*PROGRAM, "--endpoint", running.url, "import", file], stdout=subprocess.PIPE
        ) as program:
            eventually(lambda: client.status()["keys"], lambda keys: keys > 1000)
            program.kill()
        done = client.status()["keys"]
        again = process("import", file, "--json", endpoint=running.url)
        counts = json.loads(again.stdout)

        assert 1000 < done < 20_000
        assert 0 == again.returncode
        assert counts["created"] >= 20_000 - done
        assert 20_000 == counts["created"] + counts["unchanged"] + counts["changed"]
        assert [json.loads(line)["key"] for line in lines] == list(client)
        assert 20_000 // 7 + 1 == len(list(client.suball()))


def test_the_memory_of_an_import_does_not_grow_with_the_file(gateway: str, tmp_path: Path) -> None:
    measure = (
        "import resource, sys; from kv_client.__main__ import main\n"
        "try: main()\n"
        "finally:\n"
        " print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)"
    )
    # A key that comes again ends a batch; a thousand others between make it a full one.
    block = "".join(_line(f"flat/{number}", "v" * 100) for number in range(1000))
    peaks = []
    for blocks in (5, 60):
        file = written(tmp_path / "lines", block * blocks)
        done = subprocess.run(
            [sys.executable, "-c", measure, "--endpoint", gateway, "import", file],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stderr.splitlines()[-1]))

    assert peaks[1] - peaks[0] < 8
