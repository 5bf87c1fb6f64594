"""Signatures: requests to API Gateway and function URLs carry one that AWS would accept."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from kv_client.api import KVClient
from tests import sigv4
from tests.command_line import kv, written
from tests.servers import Request, Server, answer, answering, record, success

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
API = "abc.execute-api.us-east-1.amazonaws.com"
FUNCTION = "abc.lambda-url.eu-west-1.on.aws"
SCOPES = {API: ("us-east-1", "execute-api"), FUNCTION: ("eu-west-1", "lambda")}
ODD = [
    "plain",
    "with space",
    "a+b",
    "it's",
    "~tilde",
    "a=b&c=d",
    "a:b@c,d;e$f!g*h(i)j",
    "a/b/c",
    'say "hi" <b> [c] {d} |e| ^f` ',
    "🗝️/👩‍👩‍👧‍👦",
    "cafe\u0301 and caf\u00e9",
    "...",
]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server, str], str]:
    """Let a host's name lead to a server of the test, and return the URL there."""
    resolve = socket.getaddrinfo

    def lead(server: Server, host: str) -> str:
        def to_loopback(name: str, *rest: object, **more: object) -> object:
            assert name in (host, "127.0.0.1"), f"{name} is asked for"
            return resolve("127.0.0.1", *rest, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", to_loopback)
        return f"http://{host}:{urlsplit(server.url).port}"

    return lead


def _verify(request: Request, host: str) -> sigv4.Claim:
    said = sigv4.claim(request.headers["authorization"])
    assert (KEY_ID, *SCOPES[host]) == (said.key_id, said.region, said.service)
    assert {"host", "x-amz-date"} <= set(said.signed_headers)
    assert said.signature == sigv4.signature(request, SECRET, said)
    return said


def test_the_verifier_agrees_with_the_example_of_the_specification() -> None:
    # Its test suite's get-vanilla-query-order-key-case.
    said = sigv4.Claim(KEY_ID, "20150830", "us-east-1", "service", ["host", "x-amz-date"], "")
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}

    request = Request("GET", "/?Param2=value2&Param1=value1", headers, b"")

    expected = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
    assert expected == sigv4.signature(request, SECRET, said)


@pytest.mark.parametrize("host", [API, FUNCTION])
@pytest.mark.parametrize("key", [key.strip() for key in ODD])
def test_a_request_for_a_key_carries_a_valid_signature(
    at: Callable[[Server, str], str], host: str, key: str
) -> None:
    with answering(success(record(key))) as server, KVClient(at(server, host)) as client:
        client.get(key)
        client.put(key, "caf\u00e9", if_match="etag", create=True)
        client.subs(key)
        client.incr(key, 5)
        client.set(key, [1.5, None])

    for request in server.requests:
        _verify(request, host)
    assert f"/keys/{key}" == unquote(server.requests[0].target)


@pytest.mark.parametrize("host", [API, FUNCTION])
@pytest.mark.parametrize("prefix", ["", "%", "a%2Fb?#", *ODD])
def test_a_request_with_a_prefix_carries_a_valid_signature(
    at: Callable[[Server, str], str], host: str, prefix: str
) -> None:
    page = success({"items": [], "cursor": None})
    with answering(page) as server, KVClient(at(server, host)) as client:
        assert [] == list(client.getall(prefix))

    [request] = server.requests
    _verify(request, host)
    sent = parse_qs(urlsplit(request.target).query, keep_blank_values=True)
    assert [prefix] == sent["prefix"]


def test_a_session_token_is_sent_and_signed(
    at: Callable[[Server, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token/with+odd=characters")
    with answering(success(record())) as server, KVClient(at(server, API)) as client:
        client.get("name")

    [request] = server.requests
    assert "x-amz-security-token" in _verify(request, API).signed_headers
    assert "token/with+odd=characters" == request.headers["x-amz-security-token"]


def test_each_try_is_signed_anew(at: Callable[[Server, str], str]) -> None:
    with (
        answering(answer(503, {}), success(record())) as server,
        KVClient(at(server, API)) as client,
    ):
        client.get("name")

    assert 2 == len([_verify(request, API) for request in server.requests])


@pytest.mark.parametrize(
    "host", ["store.example.com", "execute-api.example.com", "a.b.execute-api.example", "127.0.0.1"]
)
def test_no_other_host_gets_a_signature(at: Callable[[Server, str], str], host: str) -> None:
    with answering(success(record())) as server, KVClient(at(server, host)) as client:
        client.get("name")

    [request] = server.requests
    assert {"authorization", "x-amz-security-token", "x-amz-date"}.isdisjoint(request.headers)


def test_a_redirect_carries_no_credentials_to_another_host(
    at: Callable[[Server, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    with (
        answering(success(record())) as other,
        answering(answer(307, None, Location=f"{other.url}/keys/name")) as server,
    ):
        ended = kv("get", "name", endpoint=at(server, API))

    assert (7, "") == ended[:2]
    assert [] == other.requests


@pytest.mark.parametrize("variable", ["NETRC", None])
def test_credentials_of_a_netrc_are_never_sent(
    at: Callable[[Server, str], str], monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    netrc = Path(os.environ["HOME"]) / ".netrc"
    written(netrc, "default login me password secret\n")
    netrc.chmod(0o600)
    if variable:
        monkeypatch.setenv(variable, str(netrc))
    with answering(success(record())) as server:
        assert 0 == kv("get", "name", endpoint=at(server, "store.example.com")).status

    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    "host", ["a.execute-api.us-gov-west-1.localhost", "a.execute-api.us-gov-west-1.amazonaws.com"]
)
def test_a_host_names_its_region_whatever_stands_behind(
    at: Callable[[Server, str], str], host: str
) -> None:
    with answering(success(record())) as server, KVClient(at(server, host)) as client:
        client.get("name")

    said = sigv4.claim(server.requests[0].headers["authorization"])
    assert "us-gov-west-1" == said.region


def test_a_host_without_a_region_takes_the_configured_one(
    at: Callable[[Server, str], str],
) -> None:
    host = "abc.execute-api.localhost"
    with answering(success(record())) as server:
        url = at(server, host)
        missing = kv("get", "name", endpoint=url)
        assert 0 == kv("--region", "eu-north-1", "get", "name", endpoint=url).status

    assert (2, "") == missing[:2]
    assert "--region" in missing.stderr
    assert "eu-north-1" == sigv4.claim(server.requests[0].headers["authorization"]).region


def test_aws_profile_chooses_credentials_and_region_from_the_files(
    at: Callable[[Server, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    written(
        Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]),
        f"[work]\naws_access_key_id = AKIDWORK\naws_secret_access_key = {SECRET}\n",
    )
    written(Path(os.environ["AWS_CONFIG_FILE"]), "[profile work]\nregion = ap-south-1\n")
    with answering(success(record())) as server:
        url = at(server, "abc.execute-api.localhost")
        assert 0 == kv("get", "name", "--aws-profile", "work", endpoint=url).status
        unknown = kv("get", "name", "--aws-profile", "nobody", endpoint=url)

    said = sigv4.claim(server.requests[0].headers["authorization"])
    assert ("AKIDWORK", "ap-south-1") == (said.key_id, said.region)
    assert (2, "") == unknown[:2]
    assert "nobody" in unknown.stderr


def test_without_credentials_a_command_is_not_allowed_in(
    at: Callable[[Server, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with answering(success(record())) as server:
        ended = kv("get", "name", endpoint=at(server, API))

    assert (6, "") == ended[:2]
    assert "AWS_ACCESS_KEY_ID" in ended.stderr
    assert [] == server.requests


def test_credentials_that_are_refused_are_not_allowed_in(at: Callable[[Server, str], str]) -> None:
    with answering(answer(403, {"message": "Forbidden"})) as server:
        ended = kv("get", "name", endpoint=at(server, API))

    assert (6, "") == ended[:2]
    assert "Forbidden" in ended.stderr
    assert 1 == len(server.requests)
