"""The fan-out: records of a stream on moto's server, made by the engine, become messages."""

import importlib
import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from uuid import uuid4

import boto3
import msgspec
import pytest

from handler.operations import BatchBody
from handler.settings import SettingsError
from handler.store.dynamodb.engine import DynamoStore
from handler.store.dynamodb.items import primary_key
from tests import dynamodb, topics
from tests.clock import Clock

ONE = msgspec.Raw(b"1")
TWO = msgspec.Raw(b"2")


class Stream:
    """A table's stream, as an event source mapping reads it."""

    def __init__(self, table: str) -> None:
        self._client = boto3.client("dynamodbstreams", dynamodb.REGION)
        described = boto3.client("dynamodb", dynamodb.REGION).describe_table(TableName=table)
        arn = described["Table"]["LatestStreamArn"]
        [shard] = self._client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        self._iterator = self._client.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]

    def event(self) -> dict[str, Any]:
        """Return an event with the records since the last one."""
        answer = self._client.get_records(ShardIterator=self._iterator)
        self._iterator = answer["NextShardIterator"]
        text = json.dumps({"Records": answer["Records"]}, default=_as_lambda_does)
        event: dict[str, Any] = json.loads(text)
        return event


def _as_lambda_does(value: Any) -> Any:
    return b64encode(value).decode() if isinstance(value, bytes) else value.timestamp()


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with dynamodb.moto() as url:
        yield url


@pytest.fixture(autouse=True)
def _aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        **dynamodb.CREDENTIALS,
        "AWS_ENDPOINT_URL": moto,
        "AWS_DEFAULT_REGION": dynamodb.REGION,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def topic() -> str:
    return topics.make_topic()


@pytest.fixture
def fanout(topic: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module as a new environment of the function has it."""
    monkeypatch.setenv("KV_TOPIC_ARN", topic)
    monkeypatch.delitem(sys.modules, "handler.fanout", raising=False)
    return importlib.import_module("handler.fanout")


@pytest.fixture
def queue(topic: str) -> topics.Queue:
    return topics.Queue(f"all-{uuid4().hex}", topic)


@pytest.fixture
def table() -> str:
    return dynamodb.make_table(
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    )


@pytest.fixture
def store(table: str, clock: Clock) -> DynamoStore:
    return DynamoStore(dynamodb.open_table(table), clock=clock)


@pytest.fixture
def stream(table: str) -> Stream:
    return Stream(table)


def watched(store: DynamoStore, *keys: str, value: msgspec.Raw = ONE) -> None:
    for key in keys:
        store.set(key, value)
        store.subscribe(key)


def sweep(table: str, key: str) -> None:
    """Remove an item, as DynamoDB does once its time is up."""
    boto3.client("dynamodb", dynamodb.REGION).delete_item(TableName=table, Key=primary_key(key))


def test_the_changes_of_subscribed_keys_are_published_as_the_feed_has_them(
    store: DynamoStore, stream: Stream, fanout: ModuleType, queue: topics.Queue
) -> None:
    watched(store, "name", "visits")
    _, cursor = store.changes(None, 10)
    store.put("name", msgspec.Raw(b'{"n":\n 1.10}'))
    store.increment("visits", 5)

    answer = fanout.lambda_handler(stream.event(), None)

    assert {"batchItemFailures": []} == answer
    told = [message["Body"] for message in queue.raw()]
    feed = [msgspec.json.encode(change).decode() for change in store.changes(cursor, 10)[0]]
    assert sorted(feed) == sorted(told)
    assert 2 == len(told)


@pytest.mark.parametrize(
    "value",
    [b'"' + b"x" * 5000 + b'"', b"-0", b"12345678901234567890", '"ключ"'.encode()],
    ids=["packed", "minus zero", "beyond 64 bits", "text"],
)
def test_a_value_arrives_to_the_byte_however_the_table_holds_it(
    store: DynamoStore, stream: Stream, fanout: ModuleType, queue: topics.Queue, value: bytes
) -> None:
    watched(store, "name")
    store.put("name", msgspec.Raw(value))

    fanout.lambda_handler(stream.event(), None)

    [message] = queue.raw()
    assert f'"value":{value.decode()},"at"' in message["Body"]


def test_a_del_of_a_subscribed_key_is_published_once_as_del(
    store: DynamoStore, stream: Stream, fanout: ModuleType, queue: topics.Queue
) -> None:
    watched(store, "name")
    _, cursor = store.changes(None, 10)
    store.delete("name")

    fanout.lambda_handler(stream.event(), None)

    [message] = queue.raw()
    [change] = store.changes(cursor, 10)[0]
    assert "del" == change.op
    assert msgspec.json.encode(change).decode() == message["Body"]


def test_an_atomic_batchs_changes_are_published(
    store: DynamoStore, stream: Stream, fanout: ModuleType, queue: topics.Queue
) -> None:
    watched(store, "a", "b")
    batch = {"operations": [{"op": "put", "key": "a", "value": 7}, {"op": "del", "key": "b"}]}
    operations = msgspec.json.decode(json.dumps(batch), type=BatchBody).operations

    store.batch(operations, atomic=True)
    fanout.lambda_handler(stream.event(), None)

    told = {each["key"]: (each["op"], each["value"]) for each in queue.changes()}
    assert {"a": ("put", 7), "b": ("del", None)} == told


def test_what_is_no_change_of_a_subscribed_key_is_not_published(
    store: DynamoStore, stream: Stream, fanout: ModuleType, queue: topics.Queue
) -> None:
    store.set("quiet", ONE)
    store.put("quiet", TWO)
    store.delete("quiet")
    watched(store, "once")
    store.unsubscribe("once")
    store.put("once", TWO)

    fanout.lambda_handler(stream.event(), None)

    assert [] == queue.changes()


def test_a_key_made_anew_after_its_expiry_is_no_change(
    store: DynamoStore, stream: Stream, clock: Clock, fanout: ModuleType
) -> None:
    watched(store, "name")
    store.put("name", TWO, ttl=1)
    clock.go_on(1)
    store.set("name", ONE)

    records = [record["dynamodb"] for record in stream.event()["Records"]]

    changes = [fanout.change_of(record) for record in records]
    assert [TWO, None] == [change and change.value for change in changes[-2:]]


def test_what_dynamodb_sweeps_is_no_change(
    store: DynamoStore, stream: Stream, table: str, fanout: ModuleType
) -> None:
    watched(store, "name")
    sweep(table, "name")

    swept = stream.event()["Records"][-1]

    assert "REMOVE" == swept["eventName"]
    assert None is fanout.change_of(swept["dynamodb"])


def test_what_leaves_the_etag_as_it_is_is_no_change(
    store: DynamoStore, stream: Stream, table: str, fanout: ModuleType
) -> None:
    watched(store, "name")
    boto3.client("dynamodb", dynamodb.REGION).update_item(
        TableName=table,
        Key=primary_key("name"),
        UpdateExpression="SET note = :note",
        ExpressionAttributeValues={":note": {"S": "by hand"}},
    )

    touched = stream.event()["Records"][-1]["dynamodb"]

    assert "note" in touched["NewImage"]
    assert None is fanout.change_of(touched)


def test_a_poisoned_record_among_good_ones_fails_alone(
    store: DynamoStore, stream: Stream, fanout: ModuleType, queue: topics.Queue
) -> None:
    watched(store, "a", "b", "c")
    for key in "abc":
        store.put(key, TWO)
    event = stream.event()
    puts = [record["dynamodb"] for record in event["Records"][-3:]]
    puts[1]["NewImage"]["whole"] = {"packed": "never"}

    answer = fanout.lambda_handler(event, None)

    assert [{"itemIdentifier": puts[1]["SequenceNumber"]}] == answer["batchItemFailures"]
    assert ["a", "c"] == [change["key"] for change in queue.changes()]


def test_ten_changes_are_published_in_a_request(
    store: DynamoStore, stream: Stream, fanout: ModuleType, queue: topics.Queue
) -> None:
    watched(store, "a")
    for _ in range(25):
        store.increment("a", 1)
    sizes = topics.sizes_of_requests(fanout.TOPIC)

    assert {"batchItemFailures": []} == fanout.lambda_handler(stream.event(), None)

    assert [10, 10, 5] == sizes
    assert list(range(2, 27)) == [change["version"] for change in queue.changes()]


def test_a_poisoned_record_is_logged(
    store: DynamoStore,
    stream: Stream,
    fanout: ModuleType,
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched(store, "name")
    store.put("name", TWO)
    event = stream.event()
    del event["Records"][-1]["dynamodb"]["NewImage"]["version"]

    fanout.lambda_handler(event, None)

    [log] = [record for record in caplog.records if record.name == "kv-store"]
    assert log.exc_info
    assert "version" in str(log.exc_info[1])


def test_what_could_not_be_published_is_brought_again(
    store: DynamoStore,
    stream: Stream,
    topic: str,
    fanout: ModuleType,
    capsys: pytest.CaptureFixture[str],
) -> None:
    watched(store, "name")
    store.put("name", TWO)
    boto3.client("sns", topics.REGION).delete_topic(TopicArn=topic)
    event = stream.event()

    answer = fanout.lambda_handler(event, None)

    number = event["Records"][-1]["dynamodb"]["SequenceNumber"]
    assert {"batchItemFailures": [{"itemIdentifier": number}]} == answer
    assert '"NotificationsFailed":[1.0]' in capsys.readouterr().err.replace(" ", "")


def test_the_filter_lets_every_change_pass_and_few_other_writes(
    store: DynamoStore, stream: Stream, table: str, fanout: ModuleType
) -> None:
    watched(store, "name", "swept")
    store.set("quiet", ONE)
    store.put("quiet", TWO)
    store.delete("quiet")
    store.put("name", TWO)
    store.delete("name")
    sweep(table, "swept")

    records = stream.event()["Records"]
    pattern = json.loads(fanout.FILTER_PATTERN)
    passed = [record["dynamodb"] for record in records if _matches(pattern, record)]

    assert ["name", "name"] == [record["Keys"]["sk"]["S"] for record in passed]
    assert all(fanout.change_of(record) for record in passed)


def _matches(pattern: dict[str, Any], record: dict[str, Any]) -> bool:
    """Tell what an event source mapping does: "exists" is about leaves."""
    for name, rule in pattern.items():
        if isinstance(rule, dict):
            if not isinstance(record.get(name), dict) or not _matches(rule, record[name]):
                return False
        elif [{"exists": True}] != rule or isinstance(record.get(name, {}), dict):
            return False
    return True


def test_without_a_topic_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KV_TOPIC_ARN", raising=False)
    monkeypatch.delitem(sys.modules, "handler.fanout", raising=False)

    with pytest.raises(SettingsError, match="KV_TOPIC_ARN"):
        importlib.import_module("handler.fanout")


def test_it_opens_no_store_and_knows_no_routes(topic: str) -> None:
    program = (
        "import sys, handler.fanout; "
        "print([name for name in ('app', 'routes', 'store.memory', 'store.table') "
        "if f'handler.{name}' in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"KV_TOPIC_ARN": topic},
        cwd=dynamodb.__file__.rpartition("/tests/")[0],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "[]\n" == done.stdout
