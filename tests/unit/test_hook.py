import io
import json
from typing import Any

import pytest

from handler import hook
from handler.app import lambda_handler
from handler.settings import SettingsError
from tests import dynamodb
from tests.servers import Handler, Request, answer, answering

VERSION = "arn:aws:lambda:us-east-1:123456789012:function:kv-store:7"


class Throttled(Exception):
    """What boto3 raises where a function has no concurrency left."""


class Functions:
    """Lambda, with one version: this process's handler, which answers as it is told to."""

    class exceptions:  # noqa: N801 (boto3's name)
        TooManyRequestsException = Throttled

    def __init__(self, *, throttled: int = 0, **changes: Any) -> None:
        self.throttled = throttled
        self.changes = changes
        self.paths: list[str] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: ARG002, N803
        if self.throttled:
            self.throttled -= 1
            raise Throttled
        event = json.loads(Payload)
        self.paths.append(f"{event['requestContext']['http']['method']} {event['rawPath']}")
        answer = {**lambda_handler(event, None), **self.changes}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


def test_a_version_that_works_passes_the_round_and_keeps_nothing_of_it() -> None:
    functions = Functions()

    hook.play_round(functions, "arn:version")  # type: ignore[arg-type]

    methods = [path.partition(" ")[0] for path in functions.paths]
    assert methods == ["POST", "GET", "PUT", "GET", "DELETE", "GET"]


@pytest.mark.parametrize("changes", [{"statusCode": 500}, {"body": '{"value": 3}'}])
def test_a_version_that_answers_otherwise_fails(changes: dict[str, Any]) -> None:
    with pytest.raises(hook.RoundFailed, match="POST /keys answered"):
        hook.play_round(Functions(**changes), "arn:version")  # type: ignore[arg-type]


def test_a_version_without_concurrency_at_first_is_asked_again() -> None:
    functions = Functions(throttled=2)

    hook.play_round(functions, "arn:version")  # type: ignore[arg-type]

    assert len(functions.paths) == 6


def test_a_version_that_never_has_concurrency_fails_in_time() -> None:
    with pytest.raises(hook.RoundFailed, match="throttled all along"):
        hook.play_round(Functions(throttled=10**9), "arn:version", patience=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("working", "verdict"), [(True, "Succeeded"), (False, "Failed")], ids=["works", "fails"]
)
def test_codedeploy_is_told_how_the_round_went(
    monkeypatch: pytest.MonkeyPatch, *, working: bool, verdict: str
) -> None:
    def aws(handler: Handler, request: Request) -> None:
        if "x-amz-target" in request.headers:
            answer(200, {})(handler, request)
        elif working:
            assert VERSION.replace(":", "%3A") in request.target
            answer(200, lambda_handler(json.loads(request.body), None))(handler, request)
        else:
            answer(200, {"errorMessage": "no"}, X_Amz_Function_Error="Unhandled")(handler, request)

    event = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}
    with answering(aws) as server:
        for name, value in {
            **dynamodb.CREDENTIALS,
            "AWS_DEFAULT_REGION": dynamodb.REGION,
            "AWS_ENDPOINT_URL": server.url,
            "KV_NEW_VERSION": VERSION,
        }.items():
            monkeypatch.setenv(name, value)
        hook.lambda_handler(event, None)

    told = server.requests[-1]
    assert told.headers["x-amz-target"].endswith(".PutLifecycleEventHookExecutionStatus")
    assert {
        "deploymentId": "d-1",
        "lifecycleEventHookExecutionId": "e-1",
        "status": verdict,
    } == json.loads(told.body)


def test_a_hook_that_is_told_of_no_version_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KV_NEW_VERSION", raising=False)

    with pytest.raises(SettingsError, match="KV_NEW_VERSION is missing"):
        hook.lambda_handler({}, None)
