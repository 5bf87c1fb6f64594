"""SNS and SQS for tests: who is told of what on a topic, as moto holds it."""

import json
from typing import Any
from uuid import uuid4

import boto3

from handler.notify import Topic

REGION = "eu-central-1"


def make_topic() -> str:
    """Make a topic that nobody subscribed to, and return its ARN."""
    return boto3.client("sns", REGION).create_topic(Name=f"changes-{uuid4().hex}")["TopicArn"]


class Queue:
    """An SQS queue.

    Args:
        name: Its name.
        topic: A topic to subscribe it to, if any.
        keys: The keys that it is told of; none for all.
    """

    def __init__(self, name: str, topic: str | None = None, *keys: str) -> None:
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        self._client = boto3.client("sqs", REGION)
        self._url = self._client.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
        if topic:
            policy = {"FilterPolicy": json.dumps({"key": keys})} if keys else {}
            boto3.client("sns", REGION).subscribe(
                TopicArn=topic,
                Protocol="sqs",
                Endpoint=f"arn:aws:sqs:{REGION}:123456789012:{name}",
                Attributes={"RawMessageDelivery": "true", **policy},
            )

    def raw(self) -> list[dict[str, Any]]:
        """Take all messages there are."""
        taken: list[dict[str, Any]] = []
        while messages := self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            WaitTimeSeconds=0,
        ).get("Messages"):
            for message in messages:
                self._client.delete_message(
                    QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"]
                )
            taken += messages
        return taken

    def changes(self) -> list[dict[str, Any]]:
        return [json.loads(message["Body"]) for message in self.raw()]


def sizes_of_requests(notifier: Topic) -> list[int]:
    """Return how many messages each request to SNS holds: a list that fills as they go out."""
    sizes: list[int] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        sizes.append(sum(name.endswith(".Message") for name in params["body"]))

    notifier._client.meta.events.register("before-call.sns.PublishBatch", note)
    return sizes
