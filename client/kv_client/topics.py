"""Who is told of changes: the subscriptions of the SNS topic that a store publishes to.

An endpoint has one subscription, whose filter policy names its keys: ``{"key": ["name", …]}``.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from kv_client.aws import AWS, explained, words_of
from kv_client.errors import DeliveryRefused, NotSubscribed, OutOfReach
from kv_client.subscriber import Subscriber

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

# What a filter policy may combine: https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html
MAX_KEYS = 150

# What SNS lists in place of a subscription's ARN.
_PENDING = "PendingConfirmation"
_DELETED = "Deleted"

# Queues get the change itself, as programs expect it. The other protocols know no such form, or, as
# HTTPS, would lose SNS's signature with its envelope.
_ATTRIBUTES = {"sqs": {"RawMessageDelivery": "true"}}

_REFUSALS = {
    "FilterPolicyLimitExceeded": "the topic has as many filter policies as SNS allows",
    "SubscriptionLimitExceeded": "the topic has as many subscriptions as SNS allows",
    "NotFound": "there is no such topic",
    "InvalidParameter": "SNS does not take this",
}


class Told(NamedTuple):
    """Who is told of what on a topic.

    Attributes:
        of_key: Of each key that a filter policy names, who has it.
        of_all: Who has no filter policy.
        unconfirmed: Who has yet to confirm; SNS does not tell of which keys before.
    """

    of_key: dict[str, list[Subscriber]]
    of_all: list[Subscriber]
    unconfirmed: list[Subscriber]

    def of(self, key: str) -> list[Subscriber]:
        return [*self.of_key.get(key, []), *self.of_all]


class Topic:
    """An SNS topic, with the caller's own credentials.

    Args:
        arn: Its ARN, which also names the region.
        aws_profile: The profile of the AWS configuration; None for the default.

    Every method raises DeliveryRefused where SNS does not take what it is asked for, AccessDenied
    where credentials are missing or not enough, OutOfReach where SNS does not answer.
    """

    def __init__(self, arn: str, aws_profile: str | None = None) -> None:
        self.arn = arn
        self._client: SNSClient = AWS(arn.split(":")[3], aws_profile).sns()

    def tell(self, subscriber: Subscriber, key: str) -> str:
        """Have a subscriber told of a key; return what is still to be done, or to be known.

        Raises:
            DeliveryRefused: It has 150 keys already, or a filter policy of another form.
        """
        with self._explained():
            arn = self._find(subscriber)
            if arn is None:
                self._subscribe(subscriber, FilterPolicy=_json({"key": [key]}))
                return self._to_be_done(subscriber)
            todo = ""
            if arn == _PENDING:
                # Only so SNS tells the ARN; it also asks the subscriber again.
                arn = self._subscribe(subscriber)
                todo = self._to_be_done(subscriber)
            policy = self._policy(arn)
            if policy is None or key in _keys(subscriber, policy):
                return todo
            policy["key"].append(key)
            if math.prod(len(options) for options in policy.values()) > MAX_KEYS:
                raise DeliveryRefused(
                    f"{subscriber.endpoint} is told of {MAX_KEYS} keys, which is all that SNS "
                    "allows one subscription: unsubs one of them, or name another endpoint"
                )
            self._set_policy(arn, policy)
            return todo or "SNS may take up to 15 minutes to heed a changed filter policy"

    def stop_telling(self, subscriber: Subscriber, key: str) -> None:
        """No longer have a subscriber told of a key.

        Raises:
            NotSubscribed: It is not told of it.
            DeliveryRefused: It has yet to confirm, or it is told of all keys.
        """
        with self._explained():
            arn = self._find(subscriber)
            if arn is None:
                raise NotSubscribed(f"{subscriber.endpoint} is not told of {key!r}")
            if arn == _PENDING:
                raise DeliveryRefused(
                    f"{subscriber.endpoint} has yet to confirm, so it is told of nothing: SNS "
                    "forgets it in some days if it never does"
                )
            policy = self._policy(arn)
            if policy is None:
                raise DeliveryRefused(f"{subscriber.endpoint} is told of all keys")
            keys = _keys(subscriber, policy)
            if key not in keys:
                raise NotSubscribed(f"{subscriber.endpoint} is not told of {key!r}")
            keys.remove(key)
            if keys:
                self._set_policy(arn, policy)
            else:
                self._client.unsubscribe(SubscriptionArn=arn)

    def told(self) -> Told:
        """Return who is told of what: one request a hundred subscriptions, and one for each."""
        told = Told({}, [], [])
        with self._explained():
            for subscriber, arn in self._subscriptions():
                if arn == _PENDING:
                    told.unconfirmed.append(subscriber)
                elif (policy := self._policy(arn)) is None:
                    told.of_all.append(subscriber)
                else:
                    for key in policy.get("key", []):
                        if isinstance(key, str):
                            told.of_key.setdefault(key, []).append(subscriber)
        return told

    def _subscriptions(self) -> Iterator[tuple[Subscriber, str]]:
        pages = self._client.get_paginator("list_subscriptions_by_topic")
        for page in pages.paginate(TopicArn=self.arn):
            for each in page["Subscriptions"]:
                if each["SubscriptionArn"] != _DELETED:
                    yield Subscriber(each["Protocol"], each["Endpoint"]), each["SubscriptionArn"]

    def _find(self, subscriber: Subscriber) -> str | None:
        return next((arn for each, arn in self._subscriptions() if each == subscriber), None)

    def _subscribe(self, subscriber: Subscriber, **attributes: str) -> str:
        if attributes:
            attributes |= _ATTRIBUTES.get(subscriber.protocol, {})
        return self._client.subscribe(
            TopicArn=self.arn,
            Protocol=subscriber.protocol,
            Endpoint=subscriber.endpoint,
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]

    def _policy(self, arn: str) -> dict[str, Any] | None:
        """Return a subscription's filter policy; None where it gets everything."""
        found = self._client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        policy: dict[str, Any] = json.loads(found.get("FilterPolicy") or "{}")
        # Where its scope is the messages' text, it says the same: that has a key too.
        return policy or None

    def _set_policy(self, arn: str, policy: dict[str, Any]) -> None:
        self._client.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=_json(policy)
        )

    def _to_be_done(self, subscriber: Subscriber) -> str:
        match subscriber.protocol:
            case "email":
                return f"SNS has sent {subscriber.endpoint} an e-mail: its link confirms this"
            case "https":
                return (
                    f"SNS has sent {subscriber.endpoint} a request: to confirm this, it is to get "
                    "the SubscribeURL in there"
                )
            case "sqs":
                return (
                    "nothing arrives unless the queue's own policy lets sns.amazonaws.com do "
                    f"sqs:SendMessage where aws:SourceArn is {self.arn}"
                )
        return (
            "nothing arrives unless the function's own policy lets sns.amazonaws.com do "
            f"lambda:InvokeFunction for {self.arn}: aws lambda add-permission sets it"
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with explained(f"topic {self.arn}", unreachable=OutOfReach):
            try:
                yield
            except ClientError as error:
                if refusal := _REFUSALS.get(error.response["Error"]["Code"]):
                    raise DeliveryRefused(
                        f"topic {self.arn}: {refusal}: {words_of(error)}"
                    ) from error
                raise


def _keys(subscriber: Subscriber, policy: dict[str, Any]) -> list[Any]:
    """Return the list of keys in a filter policy.

    Raises:
        DeliveryRefused: There is none.
    """
    keys = policy.get("key")
    if not isinstance(keys, list):
        raise DeliveryRefused(
            f"{subscriber.endpoint} has a filter policy of another form, without a list of keys; "
            "this one is yours to change"
        )
    return keys


def _json(policy: dict[str, Any]) -> str:
    return json.dumps(policy, ensure_ascii=False)
