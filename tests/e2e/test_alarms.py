"""What the stack watches, whom it tells, and the page that shows it."""

import json
import re
from typing import Any

from tests.runtimes import ROOT
from tests.templates import Template, expanded_with, of

# Namespace, metric, and the resource by which each dimension is named.
_ALARMS = {
    "ErrorsAlarm": ("AWS/Lambda", "Errors", {"FunctionName": "KvStoreFunction"}),
    "ThrottlesAlarm": ("AWS/Lambda", "Throttles", {"FunctionName": "KvStoreFunction"}),
    "ServerErrorsAlarm": ("AWS/ApiGateway", "5xx", {"ApiId": "KvStoreApi"}),
    "LatencyAlarm": ("AWS/ApiGateway", "Latency", {"ApiId": "KvStoreApi"}),
    "NotificationsAlarm": ("kv-store", "NotificationsFailed", {"topic": "ChangesTopic.TopicName"}),
    "DefectsAlarm": ("kv-store", "${AWS::StackName}-defects", {}),
}
_DURABLE_ALARMS = {
    "FanOutErrorsAlarm": ("AWS/Lambda", "Errors", {"FunctionName": "FanOutFunction"}),
    "FanOutAgeAlarm": ("AWS/Lambda", "IteratorAge", {"FunctionName": "FanOutFunction"}),
    "DeadLettersAlarm": (
        *("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        {"QueueName": "DeadLetters.QueueName"},
    ),
}
# ThrottledRequests is there for each operation that the engine uses, and not for the table.
_OPERATIONS = {
    "ThrottledBatchesAlarm": "BatchGetItem",
    "ThrottledGetsAlarm": "GetItem",
    "ThrottledPutsAlarm": "PutItem",
    "ThrottledQueriesAlarm": "Query",
    "ThrottledTransactionsAlarm": "TransactWriteItems",
    "ThrottledUpdatesAlarm": "UpdateItem",
}


def _watched(alarm: dict[str, Any]) -> tuple[str, str, dict[str, str]]:
    metric = alarm["MetricName"]
    dimensions = {each["Name"]: _named(each["Value"]) for each in alarm.get("Dimensions", [])}
    return alarm["Namespace"], _named(metric), dimensions


def _named(value: Any) -> str:
    match value:
        case {"Ref": name} | {"Fn::Sub": name}:
            return str(name)
        case {"Fn::GetAtt": names}:
            return ".".join(names)
    return str(value)


def test_each_alarm_watches_a_metric_that_there_is(memory: Template, dynamodb: Template) -> None:
    throttled = {
        name: (
            *("AWS/DynamoDB", "ThrottledRequests"),
            {"TableName": "KvStoreTable", "Operation": operation},
        )
        for name, operation in _OPERATIONS.items()
    }
    watched = [
        {name: _watched(alarm) for name, alarm in of(each, "AWS::CloudWatch::Alarm").items()}
        for each in (memory, dynamodb)
    ]

    assert watched == [_ALARMS, {**_ALARMS, **_DURABLE_ALARMS, **throttled}]


def test_an_alarm_is_quiet_while_there_is_nothing_to_measure(expanded: Template) -> None:
    alarms = of(expanded, "AWS::CloudWatch::Alarm").values()

    assert {each["TreatMissingData"] for each in alarms} == {"notBreaching"}


def test_the_latency_that_alarms_is_that_of_the_slowest_of_a_hundred(expanded: Template) -> None:
    assert of(expanded, "AWS::CloudWatch::Alarm")["LatencyAlarm"]["ExtendedStatistic"] == "p99"


def test_the_defects_that_alarm_are_those_that_the_handler_logs(expanded: Template) -> None:
    [defects] = of(expanded, "AWS::Logs::MetricFilter").values()
    message = re.search(r'\$\.message = "(.*?)"', defects["FilterPattern"])

    assert message
    assert f'logger.error("{message[1]}"' in (ROOT / "handler/app.py").read_text()
    assert defects["LogGroupName"] == {"Ref": "KvStoreLog"}


def test_every_alarm_and_its_end_go_to_the_topic(expanded: Template) -> None:
    alarms = of(expanded, "AWS::CloudWatch::Alarm")
    told = [(each["AlarmActions"], each["OKActions"]) for each in alarms.values()]

    assert told == [([{"Ref": "AlarmTopic"}], [{"Ref": "AlarmTopic"}])] * len(alarms)


def test_cloudwatch_may_publish_alarms_of_the_account_to_the_topic_and_nobody_else_may(
    expanded: Template,
) -> None:
    topics = of(expanded, "AWS::SNS::Topic")
    policy = of(expanded, "AWS::SNS::TopicPolicy")["AlarmTopicPolicy"]

    assert policy["Topics"] == [{"Ref": "AlarmTopic"}]
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": {"Ref": "AlarmTopic"},
            "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        }
    ]
    # CloudWatch may not publish under aws/sns.
    assert "KmsMasterKeyId" not in topics["AlarmTopic"]
    assert topics["ChangesTopic"]["KmsMasterKeyId"] == "alias/aws/sns"


def test_alarms_are_mailed_where_an_address_is_given_and_else_to_nobody(
    memory: Template,
) -> None:
    given = expanded_with(AlarmEmail="someone@example.org")

    assert list(of(given, "AWS::SNS::Subscription").values()) == [
        {
            "TopicArn": {"Ref": "AlarmTopic"},
            "Protocol": "email",
            "Endpoint": {"Ref": "AlarmEmail"},
        }
    ]
    assert not of(memory, "AWS::SNS::Subscription")


def test_the_dashboard_shows_every_alarm(expanded: Template) -> None:
    [dashboard] = of(expanded, "AWS::CloudWatch::Dashboard").values()
    parts = dashboard["DashboardBody"]["Fn::Join"][1]
    body = "".join(each["Fn::Sub"] for each in parts)

    assert json.loads(body)["widgets"]
    alarms = of(expanded, "AWS::CloudWatch::Alarm")
    assert [name for name in alarms if f"${{{name}.Arn}}" not in body] == []
