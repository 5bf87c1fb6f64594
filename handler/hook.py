"""The pre-traffic hook: a round of set, get, put and del against a new version of the function.

CodeDeploy calls it before it moves any traffic, and waits for its verdict. The key is one that
nobody else has, and expires by itself where the round breaks off.
"""

import json
import random
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from handler import settings

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

logger = Logger(service="kv-store-hook")

# Less than the function's own timeout: without a verdict, CodeDeploy waits for an hour.
_PATIENCE_SECONDS = 75
_TTL_SECONDS = 300


class RoundFailed(Exception):
    """A version did not answer as it should; the message says what it answered."""


def lambda_handler(event: dict[str, Any], _: object) -> None:
    """Try the version that ``KV_NEW_VERSION`` names, and tell CodeDeploy how it went.

    Args:
        event: ``DeploymentId`` and ``LifecycleEventHookExecutionId``, as CodeDeploy sends them.

    Raises:
        SettingsError: The environment names no version.
    """
    version = settings.new_version()
    # A version has 29 seconds to answer, and is asked again here.
    config = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1})
    functions: LambdaClient = boto3.client("lambda", config=config)
    deployments: Any = boto3.client("codedeploy")
    verdict: Literal["Succeeded", "Failed"]
    try:
        play_round(functions, version)
    except Exception:
        logger.exception("the new version does not work", version=version)
        verdict = "Failed"
    else:
        logger.info("the new version works", version=version)
        verdict = "Succeeded"
    deployments.put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=verdict,
    )


def play_round(
    functions: "LambdaClient", version: str, patience: float = _PATIENCE_SECONDS
) -> None:
    """Set, get, put and delete a key.

    Args:
        functions: The client of Lambda.
        version: The version's ARN.
        patience: Seconds after which nothing is asked again.

    Raises:
        RoundFailed: The version answers something else than it should, or nothing in time.
    """
    deadline = time.monotonic() + patience
    key = f"kv-store-hook-{uuid4().hex}"
    path = f"/keys/{key}"
    created = {"key": key, "value": 1, "ttl": _TTL_SECONDS}
    for method, target, body, status, value in (
        ("POST", "/keys", created, HTTPStatus.CREATED, 1),
        ("GET", path, None, HTTPStatus.OK, 1),
        ("PUT", path, {"value": 2}, HTTPStatus.OK, 2),
        ("GET", path, None, HTTPStatus.OK, 2),
        ("DELETE", path, None, HTTPStatus.NO_CONTENT, None),
        ("GET", path, None, HTTPStatus.NOT_FOUND, None),
    ):
        answer = _invoke(functions, version, _event(method, target, body), deadline)
        content = json.loads(answer.get("body") or "{}")
        if (answer.get("statusCode"), content.get("value")) != (status, value):
            raise RoundFailed(f"{method} {target} answered {answer}")


def _event(method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
    http = {
        "method": method,
        "path": path,
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "kv-store-hook",
    }
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": http, "stage": "$default", "requestId": uuid4().hex},
        "body": json.dumps(body) if body else None,
        "isBase64Encoded": False,
    }


def _invoke(
    functions: "LambdaClient", version: str, event: dict[str, Any], deadline: float
) -> dict[str, Any]:
    """Return what a version answers, also where the live one leaves it no concurrency at first."""
    while time.monotonic() < deadline:
        try:
            result = functions.invoke(FunctionName=version, Payload=json.dumps(event).encode())
        except functions.exceptions.TooManyRequestsException:
            time.sleep(random.uniform(0.05, 0.5))  # noqa: S311
        else:
            answer = json.loads(result["Payload"].read())
            if "FunctionError" in result or not isinstance(answer, dict):
                raise RoundFailed(f"it failed: {answer}")
            return answer
    raise RoundFailed("it was throttled all along")
