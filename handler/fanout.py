"""The second Lambda function: the DynamoDB table's stream, turned into messages.

Its environment is ``KV_TOPIC_ARN``; its image is the handler's, with this command. The stream
carries new and old images. The event source mapping passes on what matches ``FILTER_PATTERN``,
reports partial failures (``ReportBatchItemFailures``), bisects a batch that failed, and sends what
keeps failing to a queue.

The stream tells of every write of the table; ``handler.store.dynamodb.items`` says how records look
there. A change is a write that left a subscribed record with another ETag, or deleted it. Expiry,
DynamoDB's own sweep, and the beginning or end of a subscription are none.
"""

import json
import sys
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from handler import settings
from handler.model import Change
from handler.notify import MAX_MESSAGES, Topic
from handler.store.dynamodb.items import is_deleted, record_of

if TYPE_CHECKING:
    from handler.store.dynamodb.items import Item

# Of the writes, those of a record that was subscribed to. Such a filter sees nothing but
# ``dynamodb``, and ``exists`` asks for a leaf. DynamoDB's sweep leaves no new image.
FILTER_PATTERN = json.dumps(
    {
        "dynamodb": {
            "OldImage": {"watched": {"S": [{"exists": True}]}},
            "NewImage": {"etag": {"S": [{"exists": True}]}},
        }
    }
)

logger = Logger(service="kv-store", stream=sys.stderr)


def _open_topic() -> Topic:
    topic = settings.load().topic
    if topic is None:
        raise settings.SettingsError("KV_TOPIC_ARN is missing: the fan-out publishes to that topic")
    return Topic(topic)


TOPIC = _open_topic()


def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Publish the changes among a batch of the stream's records.

    Args:
        event: Records of a DynamoDB stream, with new and old images.

    Returns:
        ``{"batchItemFailures": […]}``: the records to bring again.
    """
    changes: list[Change] = []
    numbers: dict[str, str] = {}
    failed: list[str] = []
    for record in event["Records"]:
        number = record["dynamodb"]["SequenceNumber"]
        try:
            change = change_of(record["dynamodb"])
        # Whatever is wrong with it, the others are to go out.
        except Exception:
            message = "a record of the stream is none of the store's"
            logger.exception(message, extra={"record": number})
            failed.append(number)
            continue
        if change is not None:
            changes.append(change)
            numbers[change.etag] = number
    # Each request's worth has the time anew that a publication may take.
    for start in range(0, len(changes), MAX_MESSAGES):
        failures = TOPIC.publish(changes[start : start + MAX_MESSAGES])
        failed += [numbers[failure.change.etag] for failure in failures]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def change_of(stream_record: dict[str, Any]) -> Change | None:
    """Return the change that a record of the stream tells of, if any.

    Args:
        stream_record: Its ``dynamodb`` part.
    """
    old = _item(stream_record.get("OldImage"))
    new = _item(stream_record.get("NewImage"))
    if old is None or new is None or "watched" not in old or new["etag"] == old["etag"]:
        return None
    if is_deleted(new):
        key, etag, at = (new[name]["S"] for name in ("sk", "etag", "updated_at"))
        return Change.deletion(key, int(new["version"]["N"]), etag, at)
    if "watched" not in new:
        # Made anew after its expiry, which ended the subscription.
        return None
    return Change.put(record_of(new))


def _item(image: "dict[str, Any] | None") -> "Item | None":
    """Return an image as boto3 would: bytes travel as base64 here."""
    if image is None:
        return None
    return {
        name: {"B": b64decode(value["B"])} if "B" in value else value
        for name, value in image.items()
    }
