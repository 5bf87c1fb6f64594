"""lambda:// and stack://: an emulator's Invoke API, and a CloudFormation on this machine."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests import sigv4
from tests.command_line import kv
from tests.servers import Reply, answer, answering, forward, record, reset, success

KEY_ID, SECRET = "123456789012", "secret"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def _returned(result: Any, **headers: str) -> Reply:
    return answer(200, result, **headers)


def _function(monkeypatch: pytest.MonkeyPatch, url: str) -> str:
    """Let Lambda's Invoke API be a server on this machine; return the endpoint of a function."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
    return "lambda://function"


def test_a_function_is_reached_through_the_emulators_invoke_api(
    rie_bare: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = _function(monkeypatch, rie_bare.replace("rie://", "http://"))
    key = "lambda/a b+c~🗝️"

    assert 0 == kv("put", key, "caf\u00e9", "--create", endpoint=endpoint).status
    assert (0, "caf\u00e9\n") == kv("get", key, endpoint=endpoint)[:2]
    assert "caf\u00e9\n" == kv("get", key, endpoint=rie_bare).stdout
    assert 3 == kv("get", "lambda/missing", endpoint=endpoint).status
    assert 0 == kv("del", key, endpoint=endpoint).status


@pytest.mark.docker
def test_a_function_is_reached_through_sam_local_start_lambda(
    sam_start_lambda: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _function(monkeypatch, sam_start_lambda)
    endpoint = "lambda://KvStoreFunction"

    assert 0 == kv("put", "lambda/name", "ashish", "--create", endpoint=endpoint).status
    assert "memory" == json.loads(kv("status", "--json", endpoint=endpoint).stdout)["engine"]


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (403, "AccessDeniedException", 6),
        (403, "ExpiredTokenException", 6),
        (404, "ResourceNotFoundException", 2),
        (404, "OtherException", 7),
        (429, "TooManyRequestsException", 7),
        (413, "RequestTooLargeException", 5),
        (500, "ServiceException", 7),
        (502, "InvalidRuntimeException", 7),
    ],
)
def test_what_lambda_refuses_ends_with_its_code_and_names_the_function(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: str, code: int
) -> None:
    refusal = answer(status, {"Message": "so it is"}, x_amzn_ErrorType=kind)
    with answering(refusal) as server:
        ended = kv("get", "a", "--retries", "0", endpoint=_function(monkeypatch, server.url))

    assert (code, "") == ended[:2]
    assert "function function" in ended.stderr
    assert "retries" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "result",
    [
        {"errorType": "ValueError", "errorMessage": "oops"},
        {"errorMessage": "2026 Task timed out after 3.00 seconds"},
        None,
        [],
        {"other": 1},
        {"statusCode": 200, "body": {}},
        {"statusCode": 200, "headers": []},
        "text",
    ],
)
def test_a_function_that_failed_is_out_of_reach(
    monkeypatch: pytest.MonkeyPatch, result: object
) -> None:
    with answering(_returned(result, X_Amz_Function_Error="Unhandled")) as server:
        ended = kv("get", "a", "--retries", "0", endpoint=_function(monkeypatch, server.url))

    assert (7, "") == ended[:2]


def test_an_invoke_api_out_of_reach_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    result = {
        "statusCode": 200,
        "headers": {"KV-Engine": "memory"},
        "body": json.dumps(record()),
    }
    with answering(reset, answer(429, {}), _returned(result)) as server:
        ended = kv("get", "name", endpoint=_function(monkeypatch, server.url))

    assert (0, "ashish\n") == ended[:2]
    assert 3 == len(server.requests)


@pytest.mark.parametrize("endpoint", ["lambda://function", "stack://kv-store"])
def test_without_credentials_or_a_region_a_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    nowhere = kv("get", "a", endpoint=endpoint)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    nobody = kv("get", "a", "--region", "us-east-1", endpoint=endpoint)

    assert (2, "") == nowhere[:2]
    assert "--region" in nowhere.stderr
    assert (6, "") == nobody[:2]
    assert "there are no AWS credentials: set AWS_ACCESS_KEY_ID" in nobody.stderr


@pytest.mark.parametrize("endpoint", ["lambda://function", "http://a.execute-api.localhost"])
def test_a_region_that_is_none_is_wrong_usage(endpoint: str) -> None:
    ended = kv("get", "a", "--region", "us east", endpoint=endpoint)

    assert (2, "") == ended[:2]
    assert "'us east' is no AWS region" in ended.stderr


@pytest.mark.parametrize(
    ("options", "region"), [((), "eu-west-1"), (("--region", "eu-north-1"), "eu-north-1")]
)
def test_a_functions_arn_names_its_region_unless_an_option_does(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], region: str
) -> None:
    with answering(_returned({"statusCode": 204})) as server:
        _function(monkeypatch, server.url)
        arn = f"lambda://arn:aws:lambda:eu-west-1:{KEY_ID}:function:kv"
        assert 0 == kv("del", "a", *options, endpoint=arn).status

    assert region == sigv4.claim(server.requests[0].headers["authorization"]).region


@pytest.fixture(scope="module")
def cloudformation() -> Iterator[str]:
    """Run moto's CloudFormation and yield its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def _stack(cloudformation: str, name: str, **outputs: str) -> str:
    """Deploy a stack that has outputs, and return the endpoint that names it."""
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {output: {"Value": value} for output, value in outputs.items()},
    }
    client = boto3.client("cloudformation", endpoint_url=cloudformation)
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    client.close()
    return f"stack://{name}"


def test_a_stack_leads_to_its_output_endpoint_and_requests_are_signed(
    cloudformation: str, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", cloudformation)
    with answering(forward(gateway)) as server:
        endpoint = _stack(cloudformation, "kv-store", Endpoint=server.url)
        assert 0 == kv("put", "stack/a b~", "x", "--create", endpoint=endpoint).status
        assert (0, "x\n", "") == kv("get", "stack/a b~", endpoint=endpoint)

    for request in server.requests:
        said = sigv4.claim(request.headers["authorization"])
        assert ("us-east-1", "execute-api") == (said.region, said.service)
        assert said.signature == sigv4.signature(request, SECRET, said)


def test_a_stacks_own_domain_names_no_region(
    cloudformation: str, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", cloudformation)
    with answering(forward(gateway)) as server:
        domain = server.url.replace("127.0.0.1", "kv.prod.eu.my.localhost")
        assert 0 == kv("suball", endpoint=_stack(cloudformation, "own", Endpoint=domain)).status

    assert "us-east-1" == sigv4.claim(server.requests[0].headers["authorization"]).region


def test_a_stack_that_is_missing_or_has_no_endpoint_is_wrong_usage(
    cloudformation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", cloudformation)
    other = _stack(cloudformation, "other", Url="http://127.0.0.1:9")

    for endpoint, words in (
        (other, "no output Endpoint"),
        ("stack://missing", "there is no stack"),
    ):
        ended = kv("get", "a", endpoint=endpoint)

        assert (2, "") == ended[:2]
        assert words in ended.stderr


def test_a_cloudformation_out_of_reach_ends_with_7(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:9")

    ended = kv("get", "a", endpoint="stack://kv-store")

    assert (7, "") == ended[:2]
    assert ended.stderr.startswith("kv-client: OutOfReach: ")


def test_an_answer_that_is_not_cloudformations_ends_with_7(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(answer(403, None)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", server.url)
        assert (7, "") == kv("get", "a", endpoint="stack://kv-store")[:2]


def test_the_secret_of_the_caller_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(success(record())) as server:
        url = _function(monkeypatch, f"http://127.0.0.1:{urlsplit(server.url).port}")
        ended = kv("get", "a", "--retries", "0", endpoint=url)

    assert 7 == ended.status
    assert SECRET not in ended.stderr
