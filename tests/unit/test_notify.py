"""Publishing to SNS: the memory engine, a topic and queues that moto holds in this process."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from unicodedata import category

import boto3
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from handler.errors import KVError
from handler.model import Change
from handler.notify import Topic, subject
from handler.operations import BatchBody, Operation
from handler.store import open_store
from handler.store.memory.engine import MemoryStore
from tests.dynamodb import CREDENTIALS
from tests.topics import REGION, Queue, sizes_of_requests

OUT_OF_REACH = "arn:aws:sns:eu-central-1:123456789012:changes"
ONE = msgspec.Raw(b"1")
TWO = msgspec.Raw(b"2")


def change(key: str = "name", value: bytes = b'"x"', **fields: Any) -> Change:
    return Change(
        **{
            "key": key,
            "op": "put",
            "version": 3,
            "etag": "abc-3",
            "value": msgspec.Raw(value),
            "at": "2026-11-24T20:55:43.123Z",
            **fields,
        }
    )


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    # Another dimension would hide the metric from an alarm.
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "another")
    # The region is the topic's.
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def topic() -> Iterator[str]:
    """Return the ARN of a topic in moto."""
    with mock_aws():
        yield boto3.client("sns", REGION).create_topic(Name="changes")["TopicArn"]


@pytest.fixture
def store(topic: str) -> MemoryStore:
    return MemoryStore(1_000_000, topic=Topic(topic))


@pytest.fixture
def queue(topic: str) -> Queue:
    return Queue("all", topic)


def watched(store: MemoryStore, *keys: str) -> None:
    for key in keys:
        store.set(key, ONE)
        store.subscribe(key)


def operations(*each: dict[str, Any]) -> list[Operation]:
    return msgspec.json.decode(json.dumps({"operations": each}), type=BatchBody).operations


def test_a_put_reaches_the_queue_that_is_told_of_its_key_and_no_other(
    store: MemoryStore, topic: str
) -> None:
    names, others = Queue("names", topic, "name"), Queue("others", topic, "other")
    watched(store, "name", "other")

    record = store.put("name", msgspec.Raw(b'{"n": 1.10}'))

    assert [
        {
            "key": "name",
            "op": "put",
            "version": 2,
            "etag": record.etag,
            "value": {"n": 1.1},
            "at": record.updated_at,
        }
    ] == names.changes()
    assert [] == others.changes()


def test_a_message_is_the_change_as_the_feed_has_it_to_the_byte(
    store: MemoryStore, queue: Queue
) -> None:
    watched(store, "name")
    _, cursor = store.changes(None, 10)
    store.put("name", msgspec.Raw(b'{"n":\n 1.10}'))

    [message] = queue.raw()

    [told] = store.changes(cursor, 10)[0]
    assert msgspec.json.encode(told).decode() == message["Body"]


def test_a_message_carries_key_and_op_as_attributes(store: MemoryStore, queue: Queue) -> None:
    watched(store, "tëams/ключ/🔑")
    store.delete("tëams/ключ/🔑")

    [message] = queue.raw()

    assert {"key": "tëams/ключ/🔑", "op": "del"} == {
        name: attribute["StringValue"] for name, attribute in message["MessageAttributes"].items()
    }


def test_a_del_arrives_as_del(store: MemoryStore, queue: Queue) -> None:
    watched(store, "name")

    store.delete("name")

    [told] = queue.changes()
    assert ("del", 1, None) == (told["op"], told["version"], told["value"])


def test_an_increment_arrives_as_put(store: MemoryStore, queue: Queue) -> None:
    watched(store, "visits")

    store.increment("visits", 5)

    assert [("put", 6)] == [(told["op"], told["value"]) for told in queue.changes()]


def test_what_is_no_change_of_a_subscribed_key_is_not_published(
    store: MemoryStore, queue: Queue
) -> None:
    store.set("quiet", ONE)
    store.put("quiet", TWO)
    watched(store, "name")
    store.get("name")
    store.unsubscribe("name")
    store.put("name", TWO)
    store.delete("name")

    assert [] == queue.changes()


@pytest.mark.parametrize("atomic", [False, True])
def test_a_batch_publishes_ten_changes_a_request(topic: str, *, atomic: bool) -> None:
    notifier = Topic(topic)
    sizes = sizes_of_requests(notifier)
    store = MemoryStore(1_000_000, topic=notifier)
    watched(store, "a")

    store.batch(operations(*[{"op": "incr", "key": "a"}] * 25), atomic=atomic)

    assert [10, 10, 5] == sizes


@pytest.mark.parametrize("atomic", [False, True])
def test_a_batch_publishes_each_change_in_order(
    store: MemoryStore, queue: Queue, *, atomic: bool
) -> None:
    watched(store, "a", "b")

    puts = [{"op": "put", "key": "ab"[number % 2], "value": number} for number in range(25)]
    store.batch(operations(*puts, {"op": "del", "key": "a"}), atomic=atomic)

    told = queue.changes()
    assert [*range(25), None] == [each["value"] for each in told]
    assert "del" == told[-1]["op"]


def test_an_atomic_batch_that_fails_publishes_nothing(store: MemoryStore, queue: Queue) -> None:
    watched(store, "name")
    put = {"op": "put", "key": "name", "value": 1}

    results = store.batch(operations(put, {"op": "del", "key": "nope"}), atomic=True)

    assert isinstance(results[-1], KVError)
    assert [] == queue.changes()


def test_the_operations_of_a_batch_that_could_be_are_published(
    store: MemoryStore, queue: Queue
) -> None:
    watched(store, "name")
    put = {"op": "put", "key": "name", "value": 1}

    store.batch(operations(put, {"op": "del", "key": "nope"}, put), atomic=False)

    assert [2, 3] == [told["version"] for told in queue.changes()]


def test_a_value_too_long_for_sns_is_left_out_and_the_message_says_so(
    store: MemoryStore, queue: Queue
) -> None:
    watched(store, "name")

    store.put("name", msgspec.Raw(b'"' + b"x" * 300_000 + b'"'))

    [told] = queue.changes()
    assert (None, True, "put", 2) == (
        told["value"],
        told["value_omitted"],
        told["op"],
        told["version"],
    )


def test_the_longest_message_that_sns_takes_has_its_value(topic: str, queue: Queue) -> None:
    frame = len(msgspec.json.encode(change(value=b'""'))) + len("keyStringnameopStringput")
    fits, too_long = (b'"' + b"x" * (256 * 1024 - frame + more) + b'"' for more in (0, 1))

    Topic(topic).publish([change(value=fits), change(value=too_long)])

    assert [False, True] == ["value_omitted" in told for told in queue.changes()]


def test_long_messages_of_a_batch_go_out_in_as_many_requests_as_they_need(
    topic: str, queue: Queue
) -> None:
    notifier = Topic(topic)
    sizes = sizes_of_requests(notifier)
    changes = [change(value=b'"' + b"x" * 100_000 + b'"', version=number) for number in range(5)]

    failures = notifier.publish(changes)

    assert [] == failures
    assert [0, 1, 2, 3, 4] == [told["version"] for told in queue.changes()]
    assert [2, 2, 1] == sizes


def test_characters_that_no_message_may_hold_are_escaped(topic: str, queue: Queue) -> None:
    Topic(topic).publish([change(value='"a\ufffe\uffff"'.encode())])

    [message] = queue.raw()
    assert r'"a\ufffe\uffff"' in message["Body"]
    assert "a\ufffe\uffff" == json.loads(message["Body"])["value"]


def test_a_fifo_topic_keeps_the_order_of_each_key(topic: str) -> None:
    attributes = {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
    sns = boto3.client("sns", REGION)
    fifo = sns.create_topic(Name="changes.fifo", Attributes=attributes)["TopicArn"]
    queue = Queue("all.fifo", fifo)

    failures = Topic(fifo).publish([change("é" * 500, etag=f"abc-{n}") for n in range(3)])

    assert [] == failures
    assert ["abc-0", "abc-1", "abc-2"] == [told["etag"] for told in queue.changes()]


def test_a_failed_publish_leaves_the_write_done_and_is_logged_and_counted(
    store: MemoryStore,
    topic: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    watched(store, "name")
    boto3.client("sns", REGION).delete_topic(TopicArn=topic)

    record = store.put("name", msgspec.Raw(b'"a secret"'))

    assert record == store.get("name")
    [log] = caplog.records
    assert {"key": "name", "op": "put", "etag": record.etag, "reason": "NotFound"} == (
        log.__dict__["notification"]
    )
    output = capsys.readouterr()
    assert "" == output.out
    assert "a secret" not in output.err
    metric = json.loads(output.err.splitlines()[-1])
    assert ([1.0], "changes") == (metric["NotificationsFailed"], metric["topic"])
    [directive] = metric["_aws"]["CloudWatchMetrics"]
    assert ("kv-store", [["topic"]]) == (directive["Namespace"], directive["Dimensions"])


def test_a_message_that_sns_refuses_fails_alone(topic: str, queue: Queue) -> None:
    notifier = Topic(topic)

    def spoil(params: dict[str, Any], **_: Any) -> None:
        params["body"]["PublishBatchRequestEntries.member.2.Message"] = "x" * 300_000

    notifier._client.meta.events.register("before-call.sns.PublishBatch", spoil)

    failures = notifier.publish([change(etag=etag) for etag in "abc"])

    assert [(change(etag="b"), "InvalidParameter")] == [tuple(failure) for failure in failures]
    assert ["a", "c"] == [told["etag"] for told in queue.changes()]


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point AWS at a port that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        yield


def test_while_sns_is_out_of_reach_it_is_left_alone_for_a_while(nowhere: None) -> None:
    now = 1000.0
    topic = Topic(OUT_OF_REACH, timer=lambda: now)

    first = topic.publish([change()] * 11)
    now += 4.9
    second = topic.publish([change()])
    now += 0.2
    third = topic.publish([change()])

    tried, rested = "EndpointConnectionError", "not tried: SNS was out of reach a moment ago"
    assert [tried] * 10 + [rested] == [failure.reason for failure in first]
    assert [rested] == [failure.reason for failure in second]
    assert [tried] == [failure.reason for failure in third]


def test_a_request_begins_no_publish_once_its_time_is_up(topic: str, queue: Queue) -> None:
    moments = iter([0.0, 0.0, 0.0, 2.9, 3.0])

    failures = Topic(topic, timer=lambda: next(moments)).publish([change()] * 30)

    assert 20 == len(queue.changes())
    assert ["not tried: the messages before it took too long"] * 10 == [
        failure.reason for failure in failures
    ]


def test_status_names_the_topic(topic: str, store: MemoryStore) -> None:
    assert topic == store.status().topic
    assert None is MemoryStore(1000).status().topic


def test_the_settings_topic_is_the_stores(topic: str) -> None:
    from handler import settings

    assert topic == open_store(settings.load({"KV_TOPIC_ARN": topic})).status().topic


def test_the_memory_engine_imports_no_boto3_without_a_topic() -> None:
    program = (
        "import sys, handler.app; print('boto3' in sys.modules, 'handler.notify' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], env={}, capture_output=True, text=True, check=True
    )

    assert "False False\n" == done.stdout


@pytest.mark.parametrize(
    ("key", "op", "line"),
    [
        ("name", "put", "kv-store: name changed, version 3"),
        ("name", "del", "kv-store: name deleted"),
        ("café/crème", "put", "kv-store: cafe/creme changed, version 3"),
        ("ключ/a", "put", "kv-store: .../a changed, version 3"),
        ("a" * 200, "del", f"kv-store: {'a' * 39}...{'a' * 39} deleted"),
    ],
)
def test_a_subject_is_what_a_person_reads(key: str, op: str, line: str) -> None:
    assert line == subject(change(key, op=op))


@given(key=st.text(min_size=1, max_size=300), version=st.integers(1, 10**15))
def test_a_subject_is_what_sns_takes(key: str, version: int) -> None:
    line = subject(change(key, version=version))

    assert line.isascii()
    assert line.startswith("kv-store: ")
    assert len(line) < 100
    assert [] == [each for each in line if category(each).startswith("C")]
