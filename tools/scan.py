"""Waits for ECR's scan of an image, and fails where it found something severe.

Usage: python -m tools.scan IMAGE SEVERITY
       IMAGE is REGISTRY/NAME@DIGEST; SEVERITY is CRITICAL, HIGH, MEDIUM or LOW: that or worse fails
"""

import sys
import time
from typing import Any, cast

import boto3

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")

_ATTEMPTS = 60


class ScanError(Exception):
    """There is no scan to go by; the message says why."""


def found(client: Any, image: str, pause: float = 5) -> dict[str, int]:
    """Return how many findings of each severity the scan of an image has.

    An enhanced scan never ends: its findings are those at the time, and may become more.

    Args:
        client: boto3's client of ECR.
        image: The image, by digest.
        pause: Seconds to wait between two looks.

    Raises:
        ScanError: The scan failed, or did not end in time.
    """
    name, _, digest = image.partition("/")[2].partition("@")
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(pause)
        try:
            said = client.describe_image_scan_findings(
                repositoryName=name, imageId={"imageDigest": digest}
            )
        except client.exceptions.ScanNotFoundException:
            # It takes a moment from the push to the scan.
            continue
        status = said["imageScanStatus"]["status"]
        findings = said.get("imageScanFindings", {})
        # An enhanced scan is active before it has looked.
        if status == "COMPLETE" or (status == "ACTIVE" and "imageScanCompletedAt" in findings):
            return dict(findings.get("findingSeverityCounts", {}))
        if status not in ("PENDING", "IN_PROGRESS", "ACTIVE"):
            description = said["imageScanStatus"].get("description", "no reason is given")
            raise ScanError(f"the scan of {image} ended as {status}: {description}")
    raise ScanError(f"the scan of {image} did not end in time")


def main(image: str, severity: str) -> str | None:
    """Return what is wrong with the image, or None."""
    if severity not in SEVERITIES:
        return f"SEVERITY is {severity!r}: it must be one of {SEVERITIES}"
    severe = SEVERITIES[: SEVERITIES.index(severity) + 1]
    try:
        counts = found(cast("Any", boto3).client("ecr"), image)
    except ScanError as error:
        return str(error)
    sys.stdout.write(f"ECR's scan found {counts or 'nothing'}\n")
    worst = {each: counts[each] for each in severe if counts.get(each)}
    return f"the image has findings that are not let through: {worst}" if worst else None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
