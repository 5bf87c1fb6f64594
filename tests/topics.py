"""SNS and SQS for tests: who is told of what on a topic, as moto holds it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
# Moto takes any.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's server on a free port of this machine and yield its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


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
