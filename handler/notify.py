"""Publishes changes to an SNS topic: one message a change, for whoever subscribed to its key.

The message is the change as JSON, as ``GET /changes`` has it. SNS carries 256 KiB: where the value
makes a message longer it is left out, and the message says so::

    {"key": …, "op": "put", …, "value": null, "at": …, "value_omitted": true}

The message attributes ``key`` and ``op`` are there for filter policies; the subject is what a
person reads in an e-mail.

Publishing never raises: what could not be published is logged, without its value, and counted as
``NotificationsFailed`` in the namespace ``kv-store``, with the topic's name as dimension.
"""

import json
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import boto3
import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.base import SingleMetric
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from handler.model import Change

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import PublishBatchRequestEntryTypeDef

# Lambda logs either stream; with local:// stdout is the command's own.
logger = Logger(service="kv-store", stream=sys.stderr)

# What SNS takes in one request, attributes included, be it one message or ten:
# https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
_MAX_BYTES = 256 * 1024
MAX_MESSAGES = 10
_MAX_SUBJECT = 99

# A request waits for its messages, and the function's timeout would end the whole store: so no
# publish begins later than this, and the last one may take two tries of 3 seconds and a pause.
_BUDGET_SECONDS = 3.0
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
)
# While SNS is out of reach each write would wait for it in vain; so it is left alone for a while.
_REST_SECONDS = 5.0


class Failure(NamedTuple):
    """A change that could not be published, and why."""

    change: Change
    reason: str


class Topic:
    """An SNS topic.

    Args:
        arn: Its ARN, which also names the region.
        timer: What time is measured with, in seconds.
    """

    def __init__(self, arn: str, timer: Callable[[], float] = time.monotonic) -> None:
        self.arn = arn
        self._timer = timer
        self._resting_until = timer()
        region = arn.split(":")[3]
        self._client: SNSClient = boto3.client("sns", region_name=region, config=_CONFIG)

    def publish(self, changes: Iterable[Change]) -> list[Failure]:
        """Publish changes, in order; return those that could not be."""
        deadline = self._timer() + _BUDGET_SECONDS
        messages = [_Message(change, fifo=self.arn.endswith(".fifo")) for change in changes]
        failures: list[Failure] = []
        for batch in _batches(messages):
            now = self._timer()
            if now < self._resting_until:
                reasons = ["not tried: SNS was out of reach a moment ago"] * len(batch)
            elif now >= deadline:
                reasons = ["not tried: the messages before it took too long"] * len(batch)
            else:
                reasons = self._send(batch)
            failures += [
                Failure(message.change, reason)
                for message, reason in zip(batch, reasons, strict=True)
                if reason
            ]
        self._report(failures)
        return failures

    def _send(self, batch: "Sequence[_Message]") -> list[str]:
        """Return for each message why it was not published; empty where it was."""
        entries = [message.entry(str(number)) for number, message in enumerate(batch)]
        try:
            answer = self._client.publish_batch(
                TopicArn=self.arn, PublishBatchRequestEntries=entries
            )
        # Whatever goes wrong here, the write that is told of has been done.
        except Exception as error:  # noqa: BLE001
            if isinstance(error, HTTPClientError | BotoConnectionError):
                self._resting_until = self._timer() + _REST_SECONDS
            return [_reason(error)] * len(batch)
        codes = {entry["Id"]: entry["Code"] for entry in answer.get("Failed", [])}
        return [codes.get(entry["Id"], "") for entry in entries]

    def _report(self, failures: Sequence[Failure]) -> None:
        if not failures:
            return
        for change, reason in failures:
            told = {"key": change.key, "op": change.op, "etag": change.etag, "reason": reason}
            logger.error("a change could not be published", extra={"notification": told})
        # Without a service the topic is the only dimension, whatever the environment says.
        metric = SingleMetric(namespace="kv-store", service="")
        metric.add_metric("NotificationsFailed", MetricUnit.Count, len(failures))
        metric.add_dimension("topic", self.arn.rpartition(":")[2])
        print(json.dumps(metric.serialize_metric_set()), file=sys.stderr)  # noqa: T201


class _Message:
    """A change as SNS takes it.

    Attributes:
        change: The change.
        size: The bytes that count against SNS's limit.
    """

    def __init__(self, change: Change, *, fifo: bool) -> None:
        self.change = change
        self._fifo = fifo
        self._attributes = {"key": change.key, "op": change.op}
        frame = sum(len(f"{name}String{text}".encode()) for name, text in self._attributes.items())
        self._body = _body(change, _MAX_BYTES - frame)
        self.size = frame + len(self._body.encode())

    def entry(self, number: str) -> "PublishBatchRequestEntryTypeDef":
        """Return the message as an entry of PublishBatch."""
        entry: PublishBatchRequestEntryTypeDef = {
            "Id": number,
            "Message": self._body,
            "Subject": subject(self.change),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": text}
                for name, text in self._attributes.items()
            },
        }
        if self._fifo:
            # A group keeps its order. Its name is shorter than a key may be, and ASCII.
            group = blake2b(self.change.key.encode(), digest_size=16).hexdigest()
            entry |= {"MessageGroupId": group, "MessageDeduplicationId": self.change.etag}
        return entry


def _batches(messages: Iterable[_Message]) -> Iterator[list[_Message]]:
    """Yield the messages in as few requests' worths as SNS takes."""
    batch: list[_Message] = []
    room = _MAX_BYTES
    for message in messages:
        if batch and (message.size > room or len(batch) == MAX_MESSAGES):
            yield batch
            batch, room = [], _MAX_BYTES
        batch.append(message)
        room -= message.size
    if batch:
        yield batch


def _body(change: Change, room: int) -> str:
    body = _json(change)
    if len(body.encode()) > room:
        body = _json({**msgspec.structs.asdict(change), "value": None, "value_omitted": True})
    return body


def _json(content: object) -> str:
    # The two characters of JSON text that no message may hold; they stand in strings only.
    return re.sub("[\ufffe\uffff]", _escape, msgspec.json.encode(content).decode())


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def subject(change: Change) -> str:
    """Return a line of less than 100 printable ASCII characters, as SNS asks for, on a change.

    Accents are dropped; ``...`` stands for what ASCII has no letters for, and for the middle of a
    long key.
    """
    end = "deleted" if change.op == "del" else f"changed, version {change.version}"
    plain = unicodedata.normalize("NFKD", change.key)
    plain = "".join(each for each in plain if not unicodedata.combining(each))
    key = re.sub(r"[^ -~]+", "...", plain)
    room = _MAX_SUBJECT - len(f"kv-store: {end} ")
    if len(key) > room:
        half = (room - len("...")) // 2
        key = f"{key[:half]}...{key[-half:]}"
    return f"kv-store: {key} {end}"


def _reason(error: Exception) -> str:
    # No more than the code: a message may quote what was sent.
    return (
        error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    )
