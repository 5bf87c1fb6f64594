"""Exit codes: each of the contract's table, met by a command."""

import pytest

from kv_client import errors
from kv_client.status import exit_status
from tests.command_line import kv, process
from tests.servers import answer, answering, failure, record, reset, success

# What a store, or something on the way to it, answers to get, and the code that it ends with.
ANSWERS = [
    (404, "KeyNotFound", 3),
    (404, "NotSubscribed", 3),
    (409, "KeyExists", 4),
    (409, "NotACounter", 4),
    (409, "BatchFailed", 4),
    (412, "VersionMismatch", 4),
    (400, "InvalidKey", 5),
    (400, "InvalidRequest", 5),
    (400, "InvalidCursor", 5),
    (413, "ValueTooLarge", 5),
    (413, "RequestTooLarge", 5),
    (413, "ResponseTooLarge", 5),
    (507, "StoreFull", 5),
    (503, "EngineUnavailable", 7),
    (500, "InternalError", 7),
    (502, "HandlerFailed", 7),
    (504, "HandlerTimeout", 7),
]


@pytest.mark.parametrize(("status", "error", "code"), ANSWERS)
def test_an_error_of_the_store_ends_with_its_code_and_is_named(
    status: int, error: str, code: int
) -> None:
    with answering(failure(status, error)) as server:
        ended = kv("get", "name", "--retries", "0", endpoint=server.url)

    assert (code, "", f"kv-client: {error}: so it is\n") == ended


@pytest.mark.parametrize(
    ("status", "code"), [(401, 6), (403, 6), (429, 7), (500, 7), (502, 7), (503, 7), (504, 7)]
)
def test_an_answer_that_is_no_stores_ends_by_its_status(status: int, code: int) -> None:
    with answering(answer(status, {"message": "so it is"})) as server:
        ended = kv("get", "name", "--retries", "0", endpoint=server.url)

    assert (code, "") == ended[:2]
    assert "so it is" in ended.stderr


@pytest.mark.parametrize(("status", "content"), [(200, {}), (200, "text"), (204, None), (404, {})])
def test_a_server_that_is_no_kv_store_is_out_of_reach(status: int, content: object) -> None:
    with answering(answer(status, content)) as server:
        ended = kv("get", "name", "--retries", "0", endpoint=server.url)

    assert (7, "") == ended[:2]


def test_a_connection_that_is_reset_is_out_of_reach() -> None:
    with answering(reset) as server:
        assert 7 == kv("get", "name", "--retries", "0", endpoint=server.url).status


def test_a_host_that_does_not_exist_is_out_of_reach() -> None:
    assert 7 == kv("get", "name", "--retries", "0", endpoint="http://nowhere.invalid").status


@pytest.mark.parametrize("content", [{"hello": "world"}, [], "text", {"errorType": "Runtime"}])
@pytest.mark.parametrize("words", [["get", "a"], ["getall"], ["incr", "a"]])
def test_a_success_that_is_no_stores_is_out_of_reach(words: list[str], content: object) -> None:
    with answering(answer(200, content)) as server:
        assert 7 == kv(*words, "--retries", "0", endpoint=server.url).status


@pytest.mark.parametrize(
    ("command", "content"),
    [
        ("getall", {"items": {}, "cursor": None}),
        ("getall", {"items": [5], "cursor": None}),
        ("getall", {"items": [{}], "cursor": None}),
        ("getall", {"items": [{"key": 5, "value": 1}], "cursor": None}),
        ("getall", {"items": [{"key": "a"}], "cursor": None}),
        ("getall", {"items": [], "cursor": []}),
        ("suball", {"keys": 5, "cursor": None}),
        ("suball", {"keys": [5], "cursor": None}),
        ("suball", {"keys": []}),
    ],
)
def test_a_page_that_is_no_stores_is_out_of_reach(command: str, content: object) -> None:
    with answering(success(content)) as server:
        ended = kv(command, endpoint=server.url)

    assert (7, "") == ended[:2]
    assert "is it a kv-store?" in ended.stderr


def test_a_place_on_a_server_that_is_not_the_stores_is_out_of_reach(gateway: str) -> None:
    ended = kv("get", "name", endpoint=f"{gateway}/prod")

    assert (7, "") == ended[:2]
    assert f"the endpoint is a path of that server: {gateway}/prod\n" in ended.stderr


@pytest.mark.parametrize("status", [400, 413, 507])
def test_what_a_gateway_refuses_by_itself_is_refused_input(status: int) -> None:
    with answering(answer(status, {"message": "no"})) as server:
        assert 5 == kv("set", "a", "1", endpoint=server.url).status


@pytest.mark.parametrize(
    "words", [["getall", "\udcff"], ["put", "a", "1", "--if-match", "a\nb"], ["get", "a\udcff"]]
)
def test_what_http_cannot_carry_is_refused_input(words: list[str]) -> None:
    with answering(success(record())) as server:
        assert 5 == kv(*words, endpoint=server.url).status


def test_every_error_has_an_exit_code_and_none_is_a_defect() -> None:
    kinds = [
        kind
        for name in errors.__all__
        if isinstance(kind := getattr(errors, name), type)
        and issubclass(kind, errors.KVError)
        and kind is not errors.KVError
    ]

    assert kinds
    assert [] == [kind for kind in kinds if exit_status(kind("")) in (0, 1, 2, 8)]


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["get"],
        ["get", "a", "b"],
        ["get", "a", "--unknown"],
        ["set", "a"],
        ["set", "a", "1", "--ttl", "soon"],
        ["set", "a", "1", "--ttl", "1.5"],
        ["del"],
        ["incr", "a", "1.5"],
        ["import", "x", "--mode", "other"],
        ["--timeout", "0", "get", "a"],
        ["--timeout", "nan", "get", "a"],
        ["--timeout", "1e12", "get", "a"],
        ["--retries", "-1", "get", "a"],
        ["watch", "--interval", "0"],
        ["completion", "tcsh"],
        ["config", "set", "a", "other", "b"],
        ["config"],
        ["--js", "get", "a"],
        ["set", "a", "1", "--ttl", "0"],
        ["set", "a", "1", "--ttl", "-1"],
        ["put", "a", "1", "--ttl", "315360001"],
        ["incr", "a", str(2**63)],
        ["incr", "a", str(-(2**63) - 1)],
        ["put", "a", "1", "--if-match", ""],
        ["del", "a", "--if-match", '""'],
        ["del", "a", "b", "--if-match", "x"],
        ["serve", "--port", "65536"],
        ["help", "nonsense"],
        ["exit"],
    ],
)
def test_wrong_usage_ends_with_2_and_says_so_on_stderr(words: list[str]) -> None:
    ended = kv(*words)

    assert (2, "") == ended[:2]
    assert ended.stderr.startswith("kv-client: ")


@pytest.mark.parametrize(
    "endpoint",
    [
        "nonsense",
        "ftp://a",
        "http://",
        "rie://a",
        "local://a",
        "http://u:p@h",
        "http://h?x=1",
        "stack://",
    ],
)
def test_an_endpoint_that_is_none_is_wrong_usage(endpoint: str) -> None:
    ended = kv("get", "name", endpoint=endpoint)

    assert (2, "") == ended[:2]
    assert "endpoint" in ended.stderr


def test_a_handler_without_credentials_for_its_table_is_not_allowed_in() -> None:
    dynamodb = {"KV_ENGINE": "dynamodb", "KV_TABLE": "kv", "AWS_REGION": "eu-central-1"}

    ended = process("get", "name", endpoint="local://", **dynamodb)

    assert (6, b"") == (ended.returncode, ended.stdout)
    assert b"credentials" in ended.stderr


def test_a_profile_that_does_not_exist_is_wrong_usage() -> None:
    ended = kv("--profile", "missing", "get", "name", endpoint=None)

    assert (2, "") == ended[:2]
    assert "config set missing endpoint" in ended.stderr


@pytest.mark.parametrize("key", ["", "a%b", "a//b", " a", "a\u0000", "x" * 1025, "."])
def test_a_key_that_breaks_a_rule_is_refused_by_every_command(key: str) -> None:
    commands = [["get"], ["del"], ["subs"], ["unsubs"], ["incr"], ["set", "1"], ["put", "1"]]

    assert [5] * len(commands) == [kv(name, key, *rest).status for name, *rest in commands]


def test_numbers_at_the_end_of_their_range_are_taken() -> None:
    assert 0 == kv("set", "long", "1", "--ttl", "315360000").status
    assert 0 == kv("set", "short", "1", "--ttl", "1").status
    assert 0 == kv("incr", "most", str(2**63 - 1)).status
    assert 0 == kv("incr", "least", str(-(2**63))).status


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "a", "1", "--ttl", "0"], "0 is not 1 to 315360000 seconds"),
        (["subs", "a", "--email", "nobody"], "'nobody' is not an e-mail address"),
        (["subs", "a", "--sqs", "queue"], "'queue' is not the ARN of a queue"),
        (["gte", "a"], "there is no command 'gte'; is it get?\n"),
        (["xyz"], "there is no command 'xyz'; help lists them\n"),
        (["help", "inrc"], "there is no command 'inrc'; is it incr?\n"),
    ],
)
def test_wrong_usage_says_what_would_be_right(words: list[str], said: str) -> None:
    assert said in kv(*words).stderr


@pytest.mark.parametrize("words", [["set", "t", "-40C"], ["put", "a", "b", "c"]])
def test_a_value_that_was_not_quoted_is_told_of_with_the_commands_own_usage(
    words: list[str],
) -> None:
    ended = kv(*words)

    assert 2 == ended.status
    assert "a value with spaces is quoted, one that begins with a dash goes behind --" in (
        ended.stderr
    )
    assert f"usage: kv-client {words[0]} " in ended.stderr


def test_no_hint_at_values_stands_where_another_argument_is_wrong() -> None:
    assert "quoted" not in kv("set", "a", "1", "--ttl", "x").stderr
    assert "quoted" not in kv("get").stderr


@pytest.mark.parametrize("words", [["--help"], ["get", "--help"], ["--version"]])
def test_help_and_the_version_are_results(words: list[str]) -> None:
    ended = kv(*words)

    assert (0, "") == (ended.status, ended.stderr)
    assert "kv-client" in ended.stdout


def test_serve_where_it_cannot_listen_is_wrong_usage() -> None:
    for words in (["--host", "0.0.0.0"], ["--host", "nowhere.invalid"], ["--port", "99999"]):  # noqa: S104
        assert (2, "") == kv("serve", *words)[:2]


def test_serve_on_a_port_that_is_taken_is_wrong_usage(gateway: str) -> None:
    assert (2, "") == kv("serve", "--port", gateway.rpartition(":")[2])[:2]
