"""What a million requests of each verb, and a month at rest, cost on each engine, on paper.

    python benchmarks/costs.py

It prints the tables of docs/scaling.md and docs/operations.md. Prices are list prices; what a
request takes of them is stated here, and nothing of it was measured on AWS.
"""

from math import ceil
from typing import NamedTuple

from handler.store.dynamodb.items import SHARDS
from handler.store.dynamodb.listing import share

# us-east-1, per million unless said otherwise; the price lists of 1 November 2024, when DynamoDB's
# on-demand prices were halved, which held at the last look, in 2025.
HTTP_API = 1.00
LAMBDA_REQUEST = 0.20
LAMBDA_GB_SECOND = 0.0000133334  # arm64; per GB-second
WRITE_UNIT = 0.625  # a write of up to 1 KiB, also of an index
READ_UNIT = 0.125  # a strongly consistent read of up to 4 KiB; an eventual one is half
SNS_PUBLISH = 0.50
STREAM_INVOCATION_RECORDS = 10  # records that one fan-out invocation handles under load

# Per month. Of each account's, ten alarms and three dashboards are free.
ALARM = 0.10
DASHBOARD = 3.00
IMAGE_GB = 0.10
RECORDS_GB = 0.25
RECOVERY_GB = 0.20  # point-in-time recovery, of what is stored
# Per minute, the second of BUILD_GENERAL1_MEDIUM.
PIPELINE_ACTION = 0.002
BUILD = 0.01

MEMORY_GB = 0.5
# Lambda bills whole milliseconds. With DynamoDB the function waits for its answer.
MEMORY_MS = 2
DYNAMODB_MS = 12


class Units(NamedTuple):
    """What DynamoDB charges for one request on records of up to 1 KiB."""

    writes: float
    reads: float


VERBS = {
    "set": Units(1, 0),
    "get": Units(0, 1),
    "put": Units(1, 0),
    # The changes index takes the old entry out and puts the new one in.
    "put of a subscribed key": Units(3, 0),
    "del": Units(1, 0),
    "incr": Units(1, 0),
    # Beside the record, an entry in each of the two indexes.
    "subs": Units(3, 0),
    # Of each shard more is read than its share of 100 records and the next: a unit reads 4 KiB.
    "getall, 100 records": Units(0, len(SHARDS) * ceil(share(101) / 4)),
    # 8 queries of an index with little in them, eventually consistent.
    "changes, nothing new": Units(0, 8 * 0.5),
    "batch of 100 gets": Units(0, 100),
}


def invocation(milliseconds: float) -> float:
    """Return dollars for a million requests through the API to the function."""
    compute = MEMORY_GB * milliseconds / 1000 * LAMBDA_GB_SECOND * 1_000_000
    return HTTP_API + LAMBDA_REQUEST + compute


def delivery() -> float:
    """Return dollars for a million changes from the stream to SNS."""
    invocations = LAMBDA_REQUEST / STREAM_INVOCATION_RECORDS
    compute = MEMORY_GB * DYNAMODB_MS / 1000 * LAMBDA_GB_SECOND * 1_000_000
    return invocations + compute + SNS_PUBLISH


def million(verb: str) -> tuple[float, float]:
    """Return dollars for a million requests of a verb: with memory, and with dynamodb."""
    units, notified = VERBS[verb], "subscribed" in verb
    memory = invocation(MEMORY_MS) + (SNS_PUBLISH if notified else 0)
    dynamodb = (
        invocation(DYNAMODB_MS)
        + units.writes * WRITE_UNIT
        + units.reads * READ_UNIT
        + (delivery() if notified else 0)
    )
    return memory, dynamodb


def per_million() -> str:
    """Return the Markdown table of what a million requests cost."""
    lines = ["| a million of | memory | dynamodb |", "| --- | ---: | ---: |"]
    for verb in VERBS:
        memory, dynamodb = million(verb)
        lines.append(f"| {verb} | ${memory:.2f} | ${dynamodb:.2f} |")
    return "\n".join(lines)


def at_rest() -> str:
    """Return the Markdown table of what a stack costs that nobody asks anything."""
    rows = {
        "its alarms, 6 or 15": [6 * ALARM, 15 * ALARM],
        "its dashboard": [DASHBOARD, DASHBOARD],
        "a GB of records, and their point-in-time recovery": [0, RECORDS_GB + RECOVERY_GB],
        "a GB of images in ECR": [IMAGE_GB, IMAGE_GB],
        "the function, the API, topics and queue": [0, 0],
    }
    lines = ["| a month at rest | memory | dynamodb |", "| --- | ---: | ---: |"]
    lines += [f"| {row} | ${memory:.2f} | ${table:.2f} |" for row, (memory, table) in rows.items()]
    return "\n".join(lines)


def in_use() -> str:
    """Return in a line what use costs: a million sets, and the pipeline's minutes."""
    memory, dynamodb = million("set")
    return (
        f"A million sets cost ${memory:.2f} with memory and ${dynamodb:.2f} with dynamodb. "
        f"Where the pipeline runs, a minute of an action costs ${PIPELINE_ACTION}, "
        f"and one of the build ${BUILD}."
    )


if __name__ == "__main__":
    print(per_million(), at_rest(), in_use(), sep="\n\n")
