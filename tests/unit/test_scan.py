"""What a build makes of ECR's scan of its image."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests import dynamodb
from tests.servers import Reply, answer, answering
from tools import scan

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/kv-store@sha256:01"
NONE_YET = answer(400, {"__type": "ScanNotFoundException", "message": "no scan"})


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**dynamodb.CREDENTIALS, "AWS_DEFAULT_REGION": dynamodb.REGION}.items():
        monkeypatch.setenv(name, value)


def _status(status: str, *, looked: bool = True, **counts: int) -> Reply:
    findings: dict[str, Any] = {"findingSeverityCounts": counts}
    if looked:
        findings["imageScanCompletedAt"] = 1764028800
    return answer(200, {"imageScanStatus": {"status": status}, "imageScanFindings": findings})


def _found(*replies: Reply) -> dict[str, int]:
    with answering(*replies) as server:
        client: Any = boto3.client("ecr", endpoint_url=server.url)
        return scan.found(client, IMAGE, pause=0)


def test_it_waits_until_the_scan_is_there_and_complete() -> None:
    assert {"HIGH": 2} == _found(NONE_YET, _status("IN_PROGRESS"), _status("COMPLETE", HIGH=2))


def test_an_enhanced_scan_is_taken_as_it_stands_once_it_has_looked() -> None:
    waiting = (_status("PENDING"), _status("ACTIVE", looked=False))

    assert {"LOW": 1} == _found(*waiting, _status("ACTIVE", LOW=1))


@pytest.mark.parametrize("replies", [[_status("FAILED")], [_status("UNSUPPORTED_IMAGE")]])
def test_a_scan_that_failed_lets_nothing_through(replies: list[Reply]) -> None:
    with pytest.raises(scan.ScanError, match="ended as"):
        _found(*replies)


def test_a_scan_that_never_ends_lets_nothing_through() -> None:
    with pytest.raises(scan.ScanError, match="did not end in time"):
        _found(NONE_YET)


@pytest.fixture
def _scan_with_high(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with answering(_status("COMPLETE", HIGH=1, LOW=3)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield


@pytest.mark.usefixtures("_scan_with_high")
@pytest.mark.parametrize(
    ("severity", "refused"), [("CRITICAL", False), ("HIGH", True), ("MEDIUM", True)]
)
def test_findings_of_a_severity_or_worse_are_not_let_through(
    severity: str, *, refused: bool
) -> None:
    assert ("{'HIGH': 1}" in (scan.main(IMAGE, severity) or "")) is refused


def test_a_severity_that_there_is_not_is_refused() -> None:
    assert "must be one of" in (scan.main(IMAGE, "SEVERE") or "")
