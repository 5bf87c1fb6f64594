import io
import json
from typing import Any

import pytest

from handler import hook
from handler.app import lambda_handler


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
