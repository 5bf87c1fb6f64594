"""subs, unsubs and suball with somebody to tell: a store of its own, and SNS on moto's server."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from kv_client import KVClient
from kv_client.errors import DeliveryRefused
from kv_client.status import ExitStatus
from kv_client.subscriber import Subscriber
from kv_client.topics import Topic
from tests import command_line, dynamodb, gateways, topics
from tests.command_line import Ended
from tests.servers import answering, forward

TOPIC = f"arn:aws:sns:{topics.REGION}:123456789012:changes"
QUEUE = f"arn:aws:sqs:{topics.REGION}:123456789012:changes"
FUNCTION = f"arn:aws:lambda:{topics.REGION}:123456789012:function:told"


Program = Callable[..., Ended]


@pytest.fixture(scope="module")
def aws() -> Iterator[dict[str, str]]:
    """Return an environment with an AWS that boto3 finds."""
    with dynamodb.moto() as url:
        yield {**dynamodb.CREDENTIALS, "AWS_ENDPOINT_URL": url}


@pytest.fixture(scope="module")
def store(aws: dict[str, str]) -> Iterator[KVClient]:
    """Return a store that publishes to the topic."""
    with gateways.gateway(KV_TOPIC_ARN=TOPIC, **aws) as running, KVClient(running.url) as client:
        yield client


@pytest.fixture
def topic(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the ARN of the topic, which nobody subscribed to yet."""
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    sns = boto3.client("sns", topics.REGION)
    sns.create_topic(Name="changes")
    yield TOPIC
    sns.delete_topic(TopicArn=TOPIC)


@pytest.fixture
def kv(topic: str, store: KVClient) -> Program:
    """Return kv-client on the store, which has one key: ``name``."""
    store.clear()
    store.set("name", "ashish")
    return partial(command_line.kv, endpoint=store.connection.endpoint.url)


def policies(topic: str) -> dict[tuple[str, str], Any]:
    """Return the filter policy of each subscription."""
    sns = boto3.client("sns", topics.REGION)
    return {
        (each["Protocol"], each["Endpoint"]): json.loads(
            attributes(each["SubscriptionArn"]).get("FilterPolicy", "null")
        )
        for each in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    }


def attributes(subscription: str) -> dict[str, str]:
    sns = boto3.client("sns", topics.REGION)
    return sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]


@pytest.mark.parametrize(
    ("protocol", "endpoint"),
    [
        ("email", "ashish@example.org"),
        ("sqs", QUEUE),
        ("https", "https://example.org/told"),
        ("lambda", FUNCTION),
    ],
)
def test_subs_subscribes_to_the_topic_too_with_the_key_as_filter(
    kv: Program, topic: str, protocol: str, endpoint: str
) -> None:
    ended = kv("subs", "name", f"--{protocol}", endpoint)

    assert (ExitStatus.OK, f"subscribed to name, for {endpoint}\n") == ended[:2]
    assert "confirm" in ended.stderr or "policy" in ended.stderr
    assert {(protocol, endpoint): {"key": ["name"]}} == policies(topic)
    assert '"subscribed":true' in kv("--json", "get", "name").stdout


def test_a_change_gets_from_put_to_the_queue_as_it_is(kv: Program, topic: str) -> None:
    queue = topics.Queue("changes")
    kv("subs", "name", "--sqs", QUEUE)
    kv("set", "other", "x")
    kv("subs", "other")

    kv("put", "other", "y")
    kv("put", "name", "ashish-sharma")

    assert ["ashish-sharma"] == [told["value"] for told in queue.changes()]


def test_subs_run_twice_makes_one_subscription(kv: Program, topic: str) -> None:
    first, second = (kv("subs", "name", "--sqs", QUEUE) for _ in range(2))

    assert first[:2] == second[:2]
    assert "" == second.stderr
    assert {("sqs", QUEUE): {"key": ["name"]}} == policies(topic)


def test_a_further_key_goes_into_the_same_filter(kv: Program, topic: str) -> None:
    kv("set", "ключ", "x")
    kv("subs", "name", "--sqs", QUEUE)

    ended = kv("subs", "ключ", "--sqs", QUEUE)

    assert ExitStatus.OK == ended.status
    assert "up to 15 minutes" in ended.stderr
    assert {("sqs", QUEUE): {"key": ["name", "ключ"]}} == policies(topic)


def test_the_151st_key_is_refused_and_the_message_says_why(kv: Program, topic: str) -> None:
    subscribed(topic, {"key": [f"k{number}" for number in range(150)]})

    ended = kv("subs", "name", "--sqs", QUEUE)

    assert ExitStatus.REFUSED == ended.status
    assert f"DeliveryRefused: {QUEUE} is told of 150 keys" in ended.stderr
    assert 150 == len(policies(topic)["sqs", QUEUE]["key"])


def test_each_of_two_operations_counts_against_the_150(kv: Program, topic: str) -> None:
    subscribed(topic, {"key": [f"k{number}" for number in range(75)], "op": ["put", "del"]})

    assert ExitStatus.REFUSED == kv("subs", "name", "--sqs", QUEUE).status


@pytest.mark.parametrize("policy", [{"op": ["del"]}, {"key": [{"prefix": "a"}], "op": ["del"]}])
def test_a_filter_of_somebodys_own_keeps_what_it_says(
    kv: Program, topic: str, policy: dict[str, Any]
) -> None:
    subscribed(topic, policy)

    ended = kv("subs", "name", "--sqs", QUEUE)

    has_keys = "key" in policy
    assert (ExitStatus.OK if has_keys else ExitStatus.REFUSED) == ended.status
    added = {"key": [{"prefix": "a"}, "name"]} if has_keys else {}
    assert {("sqs", QUEUE): {**policy, **added}} == policies(topic)


def test_who_is_told_of_everything_stays_so(kv: Program, topic: str) -> None:
    subscribed(topic, None)

    told = kv("subs", "name", "--sqs", QUEUE)
    taken_back = kv("unsubs", "name", "--sqs", QUEUE)

    assert (ExitStatus.OK, ExitStatus.REFUSED) == (told.status, taken_back.status)
    assert "told of all keys" in taken_back.stderr
    assert {("sqs", QUEUE): None} == policies(topic)


def test_unsubs_takes_the_key_out_of_the_filter(kv: Program, topic: str) -> None:
    subscribed(topic, {"key": ["other", "name"]})
    kv("subs", "name")

    ended = kv("unsubs", "name", "--sqs", QUEUE)

    assert (ExitStatus.OK, f"unsubscribed {QUEUE} from name\n", "") == ended
    assert {("sqs", QUEUE): {"key": ["other"]}} == policies(topic)
    assert "" == kv("suball").stdout


def test_unsubs_of_the_last_key_ends_the_subscription(kv: Program, topic: str) -> None:
    kv("subs", "name", "--sqs", QUEUE)

    ended = kv("--json", "unsubs", "name", "--sqs", QUEUE)

    assert {"key": "name"} == json.loads(ended.stdout)
    assert {} == policies(topic)


def test_unsubs_leaves_the_key_subscribed_while_others_are_told_of_it(
    kv: Program, topic: str
) -> None:
    kv("subs", "name", "--sqs", QUEUE)
    kv("subs", "name", "--lambda", FUNCTION)

    ended = kv("unsubs", "name", "--sqs", QUEUE)

    assert "name stays subscribed to, since others" in ended.stderr
    assert "name\n" == kv("suball").stdout
    assert {("lambda", FUNCTION): {"key": ["name"]}} == policies(topic)


def test_unsubs_does_not_say_of_a_deleted_key_that_it_stays_subscribed_to(
    kv: Program, topic: str
) -> None:
    kv("subs", "name", "--sqs", QUEUE)
    kv("subs", "name", "--lambda", FUNCTION)
    kv("del", "name")

    assert "" == kv("unsubs", "name", "--sqs", QUEUE).stderr


def test_unsubs_of_a_deleted_key_takes_it_out_of_the_filter_too(kv: Program, topic: str) -> None:
    kv("subs", "name", "--sqs", QUEUE)
    kv("del", "name")

    assert ExitStatus.OK == kv("unsubs", "name", "--sqs", QUEUE).status
    assert {} == policies(topic)


@pytest.mark.parametrize("policy", [{"key": ["other"]}, ...])
def test_unsubs_of_who_is_not_told_says_so(kv: Program, topic: str, policy: Any) -> None:
    if policy is not ...:
        subscribed(topic, policy)
    kv("subs", "name")

    ended = kv("unsubs", "name", "--sqs", QUEUE)

    assert ExitStatus.NOT_FOUND == ended.status
    assert f"NotSubscribed: {QUEUE} is not told of 'name'" in ended.stderr
    assert "name\n" == kv("suball").stdout


def test_suball_as_json_says_who_is_told_of_what(kv: Program, topic: str) -> None:
    kv("set", "alone", "x")
    kv("subs", "alone")
    kv("subs", "name", "--sqs", QUEUE)
    kv("subs", "name", "--lambda", FUNCTION)

    lines = [json.loads(line) for line in kv("--json", "suball").stdout.splitlines()]

    assert [
        {"key": "alone", "subscribers": []},
        {
            "key": "name",
            "subscribers": [
                {"protocol": "sqs", "endpoint": QUEUE},
                {"protocol": "lambda", "endpoint": FUNCTION},
            ],
        },
    ] == lines
    assert "alone\nname\n" == kv("suball").stdout


def test_suball_as_json_asks_the_store_for_its_topic_once(
    store: KVClient, kv: Program, topic: str
) -> None:
    with answering(forward(store.connection.endpoint.url)) as server:
        kv("--json", "suball", "--endpoint", server.url)

    assert 1 == [request.target for request in server.requests].count("/status")


def test_suball_names_those_who_are_told_of_everything(kv: Program, topic: str) -> None:
    subscribed(topic, None)
    kv("subs", "name")

    [line] = kv("--json", "suball").stdout.splitlines()

    assert [{"protocol": "sqs", "endpoint": QUEUE}] == json.loads(line)["subscribers"]


def test_suball_names_the_keys_also_where_the_topic_is_gone(kv: Program, topic: str) -> None:
    kv("subs", "name")
    boto3.client("sns", topics.REGION).delete_topic(TopicArn=topic)

    ended = kv("--json", "suball")

    assert (ExitStatus.OK, '{"key": "name"}\n') == ended[:2]
    assert "who is told is not known" in ended.stderr


def test_a_store_without_a_topic_refuses_and_changes_nothing() -> None:
    with gateways.gateway() as running:
        kv = partial(command_line.kv, endpoint=running.url)
        kv("set", "name", "ashish")

        told = kv("subs", "name", "--email", "ashish@example.org")
        taken_back = kv("unsubs", "name", "--email", "ashish@example.org")

        assert [ExitStatus.REFUSED] * 2 == [told.status, taken_back.status]
        assert "DeliveryRefused: the store publishes to no topic" in told.stderr
        assert "" == kv("suball").stdout
        kv("subs", "name")
        assert '{"key": "name"}\n' == kv("--json", "suball").stdout


def test_a_key_that_is_not_there_makes_no_subscription(kv: Program, topic: str) -> None:
    assert ExitStatus.NOT_FOUND == kv("subs", "nope", "--sqs", QUEUE).status
    assert {} == policies(topic)


def test_a_topic_that_is_gone_is_named(kv: Program, topic: str) -> None:
    boto3.client("sns", topics.REGION).delete_topic(TopicArn=topic)

    ended = kv("subs", "name", "--sqs", QUEUE)

    assert ExitStatus.REFUSED == ended.status
    assert f"topic {topic}: there is no such topic" in ended.stderr


def test_sns_out_of_reach_is_told_apart(kv: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    assert ExitStatus.OUT_OF_REACH == kv("subs", "name", "--sqs", QUEUE).status


def test_missing_credentials_are_told_apart(kv: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in dynamodb.CREDENTIALS:
        monkeypatch.delenv(name)

    ended = kv("subs", "name", "--sqs", QUEUE)

    assert ExitStatus.NOT_ALLOWED == ended.status


@pytest.mark.parametrize(
    "words",
    [
        ["--email", "nobody"],
        ["--sqs", "changes"],
        ["--https", "http://example.org"],
        ["--lambda", QUEUE],
        ["--email", "a@example.org", "--sqs", QUEUE],
    ],
)
def test_what_is_no_endpoint_is_wrong_usage(words: list[str]) -> None:
    assert ExitStatus.USAGE == command_line.kv("subs", "name", *words).status


class Pending:
    """SNS as it answers while somebody has yet to confirm, which moto does not show."""

    SUBSCRIBER = Subscriber("email", "ashish@example.org")
    SUBSCRIPTION = f"{TOPIC}:1"

    def __init__(self) -> None:
        self.topic = Topic(TOPIC)
        self.sns = Stubber(self.topic._client)
        listed = {
            "Protocol": "email",
            "Endpoint": self.SUBSCRIBER.endpoint,
            "SubscriptionArn": "PendingConfirmation",
        }
        self.sns.add_response("list_subscriptions_by_topic", {"Subscriptions": [listed]})
        self.sns.activate()

    def asked_again(self, *keys: str) -> None:
        self.sns.add_response(
            "subscribe",
            {"SubscriptionArn": self.SUBSCRIPTION},
            {
                "TopicArn": TOPIC,
                "Protocol": "email",
                "Endpoint": self.SUBSCRIBER.endpoint,
                "Attributes": {},
                "ReturnSubscriptionArn": True,
            },
        )
        policy = {"FilterPolicy": json.dumps({"key": keys})}
        self.sns.add_response("get_subscription_attributes", {"Attributes": policy})


@pytest.fixture
def pending(topic: str) -> Pending:
    return Pending()


def test_who_has_yet_to_confirm_is_asked_again(pending: Pending) -> None:
    pending.asked_again("name")

    assert "its link confirms" in pending.topic.tell(pending.SUBSCRIBER, "name")
    pending.sns.assert_no_pending_responses()


def test_who_has_yet_to_confirm_is_given_a_further_key(pending: Pending) -> None:
    pending.asked_again("other")
    change = {
        "SubscriptionArn": pending.SUBSCRIPTION,
        "AttributeName": "FilterPolicy",
        "AttributeValue": '{"key": ["other", "name"]}',
    }
    pending.sns.add_response("set_subscription_attributes", {}, change)

    assert "its link confirms" in pending.topic.tell(pending.SUBSCRIBER, "name")
    pending.sns.assert_no_pending_responses()


def test_what_was_never_confirmed_cannot_be_taken_back(pending: Pending) -> None:
    with pytest.raises(DeliveryRefused, match="has yet to confirm"):
        pending.topic.stop_telling(pending.SUBSCRIBER, "name")


def test_who_has_yet_to_confirm_is_listed_apart(pending: Pending) -> None:
    assert [pending.SUBSCRIBER] == pending.topic.told().unconfirmed


def test_who_was_taken_off_a_moment_ago_is_subscribed_anew(topic: str) -> None:
    told = Topic(topic)
    gone = {"Protocol": "sqs", "Endpoint": QUEUE, "SubscriptionArn": "Deleted"}
    with Stubber(told._client) as sns:
        sns.add_response("list_subscriptions_by_topic", {"Subscriptions": [gone]})
        sns.add_response("subscribe", {"SubscriptionArn": f"{TOPIC}:2"})

        told.tell(Subscriber("sqs", QUEUE), "name")

        sns.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["FilterPolicyLimitExceeded", "SubscriptionLimitExceeded"])
def test_a_full_topic_is_a_refusal(topic: str, code: str) -> None:
    full = Topic(topic)
    with Stubber(full._client) as sns:
        sns.add_response("list_subscriptions_by_topic", {"Subscriptions": []})
        sns.add_client_error("subscribe", code, http_status_code=403)

        with pytest.raises(DeliveryRefused, match="as many"):
            full.tell(Subscriber("sqs", QUEUE), "name")


def subscribed(topic: str, policy: dict[str, Any] | None) -> None:
    """Subscribe the queue to the topic, as somebody does by hand."""
    attributes = {} if policy is None else {"FilterPolicy": json.dumps(policy)}
    boto3.client("sns", topics.REGION).subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=QUEUE, Attributes=attributes
    )
