"""SNS and SQS for tests: who is told of what on a topic, as moto holds it."""

import json
from typing import Any

import boto3

REGION = "eu-central-1"
# Moto takes any.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}


class Queue:
    """An SQS queue that is subscribed to a topic, with a filter policy if it is given keys."""

    def __init__(self, topic: str, name: str, *keys: str) -> None:
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        self._client = boto3.client("sqs", REGION)
        self._url = self._client.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
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
