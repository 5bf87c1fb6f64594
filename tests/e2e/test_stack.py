"""The deployed stack, in an emulation of AWS that verifies signatures and evaluates policies."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import gethostname
from typing import Any
from uuid import uuid4

import pytest
import requests
from botocore.exceptions import ClientError

from handler import hook
from kv_client import KVClient
from kv_client.endpoints import open_endpoint
from tests.command_line import Ended, process
from tests.conftest import Deployed
from tests.polling import eventually
from tests.runtimes import run
from tools.cloud import Cloud, Stack, caller

pytestmark = pytest.mark.docker

_NOT_ALLOWED_IN = 6


@pytest.fixture(params=["memory_stack", "dynamodb_stack"])
def deployed(request: pytest.FixtureRequest) -> Deployed:
    """Return each of the two stacks."""
    stack: Deployed = request.getfixturevalue(request.param)
    return stack


@pytest.fixture
def key() -> str:
    """Return a key that no other test has."""
    return f"stack-{uuid4().hex}"


@pytest.fixture
def passing_stack(cloud: Cloud, image: str) -> Iterator[Stack]:
    """Deploy a stack with a table for one test, which may delete it."""
    stack = cloud.deploy("kv-store-passing", image, Engine="dynamodb", AlarmEmail="a@example.org")
    yield stack
    cloud.delete(stack.name)


def _kv(deployed: Deployed, *words: str, **environment: str) -> Ended:
    done = process(*words, endpoint=deployed.url, **{**deployed.environment, **environment})
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def _stack(cloud: Cloud, deployed: Deployed) -> Stack:
    return cloud.stack(deployed.url.removeprefix("stack://"))


def _base(cloud: Cloud, stack: Stack) -> tuple[str, dict[str, str]]:
    """Return where a stack's API answers, and the header that names it there."""
    return cloud.url, {"Host": stack.outputs["Endpoint"].partition("://")[2]}


def test_kv_client_sets_and_gets_and_status_says_what_is_deployed(
    deployed: Deployed, key: str
) -> None:
    assert _kv(deployed, "set", key, "ashish").status == 0
    assert _kv(deployed, "get", key).stdout == "ashish\n"
    status = json.loads(_kv(deployed, "--json", "status").stdout)
    assert status["engine"] == ("dynamodb" if "dynamodb" in deployed.url else "memory")


def test_the_pre_traffic_hooks_round_passes(cloud: Cloud, deployed: Deployed) -> None:
    version = _stack(cloud, deployed).outputs["FunctionName"]

    hook.play_round(cloud.client("lambda"), version)


@pytest.mark.parametrize("path", ["/status", "/keys", "/docs", "/openapi.json", "/nope"])
def test_an_unsigned_request_is_refused(cloud: Cloud, deployed: Deployed, path: str) -> None:
    url, headers = _base(cloud, _stack(cloud, deployed))

    answer = requests.get(url + path, headers=headers, timeout=30)

    assert answer.status_code == 403
    assert "KV-Engine" not in answer.headers


def test_a_wrong_secret_is_refused(deployed: Deployed) -> None:
    ended = _kv(deployed, "status", AWS_SECRET_ACCESS_KEY="wrong")

    assert ended.status == _NOT_ALLOWED_IN


def test_a_caller_whose_policy_does_not_allow_it_is_refused(
    cloud: Cloud, deployed: Deployed
) -> None:
    _, find = caller(_stack(cloud, deployed))
    environment = cloud.user(f"u-{uuid4().hex}", find)

    ended = _kv(deployed, "status", **environment)

    assert ended.status == _NOT_ALLOWED_IN


def test_a_caller_who_may_only_read_can_not_write(
    cloud: Cloud, deployed: Deployed, key: str
) -> None:
    invoke, find = caller(_stack(cloud, deployed))
    reads = {**invoke, "Resource": invoke["Resource"].replace("/*", "/$default/GET/*")}
    environment = cloud.user(f"u-{uuid4().hex}", reads, find)

    assert _kv(deployed, "getall", **environment).status == 0
    assert _kv(deployed, "set", key, "1", **environment).status == _NOT_ALLOWED_IN
    assert _kv(deployed, "get", key).status == 3


def test_the_functions_role_may_do_what_it_does_and_nothing_else(
    cloud: Cloud, deployed: Deployed
) -> None:
    stack = _stack(cloud, deployed)
    assert _kv(deployed, "status").status == 0
    role = _environment_of(cloud, stack.resources["KvStoreFunction"])
    credentials = {
        "aws_access_key_id": role["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": role["AWS_SECRET_ACCESS_KEY"],
        "aws_session_token": role["AWS_SESSION_TOKEN"],
    }
    topic = stack.outputs["TopicArn"]
    denied = {
        ("dynamodb", "list_tables"): {},
        ("sns", "list_topics"): {},
        ("sns", "delete_topic"): {"TopicArn": topic},
        ("s3", "list_buckets"): {},
        ("iam", "list_users"): {},
        ("lambda", "list_functions"): {},
    }
    if table := stack.outputs.get("TableName"):
        denied |= {
            ("dynamodb", "delete_table"): {"TableName": table},
            ("dynamodb", "scan"): {"TableName": table},
            ("sns", "publish"): {"TopicArn": topic, "Message": "x"},
        }
    else:
        cloud.client("sns", **credentials).publish(TopicArn=topic, Message="x")

    allowed = [
        call
        for call, arguments in denied.items()
        if not _is_denied(cloud.client(call[0], **credentials), call[1], arguments)
    ]
    assert allowed == []


def test_with_memory_a_second_concurrent_request_is_throttled_and_retries_carry_it(
    memory_stack: Deployed, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in memory_stack.environment.items():
        monkeypatch.setenv(name, value)

    def statuses(_: int) -> set[int]:
        way = open_endpoint(memory_stack.url)
        return {way.session.get(f"{way.base}/status", timeout=30).status_code for _ in range(20)}

    def incr(_: int) -> None:
        with KVClient(memory_stack.url, timeout=60, retries=50) as store:
            for _ in range(10):
                store.incr(key)

    with ThreadPoolExecutor(8) as pool:
        plain = set().union(*pool.map(statuses, range(8)))
        list(pool.map(incr, range(8)))

    assert 200 in plain
    assert plain & {429, 503}
    assert _kv(memory_stack, "get", key).stdout == "80\n"


def test_with_dynamodb_concurrent_environments_serve_at_once_and_agree(
    cloud: Cloud, dynamodb_stack: Deployed, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in dynamodb_stack.environment.items():
        monkeypatch.setenv(name, value)
    function = _stack(cloud, dynamodb_stack).resources["KvStoreFunction"]

    def incr(_: int) -> list[int]:
        with KVClient(dynamodb_stack.url, timeout=60) as store:
            return [store.incr(key).value for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        numbers = [each for some in pool.map(incr, range(4)) for each in some]

    assert sorted(numbers) == list(range(1, 41))
    assert len(_containers(cloud, function)) >= 4


def test_with_dynamodb_a_put_of_a_subscribed_key_goes_through_the_stream_to_a_queue(
    cloud: Cloud, dynamodb_stack: Deployed, key: str
) -> None:
    stack = _stack(cloud, dynamodb_stack)
    topic = stack.outputs["TopicArn"]
    queues = cloud.client("sqs")
    url = queues.create_queue(QueueName=key)["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = arn["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    attributes = {"FilterPolicy": json.dumps({"key": [key]}), "RawMessageDelivery": "true"}
    cloud.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes
    )
    for words in (
        *(("set", key, "1"), ("set", f"{key}/other", "1")),
        *(("subs", key), ("subs", f"{key}/other")),
        *(("put", f"{key}/other", "2"), ("put", key, "2"), ("del", key)),
    ):
        assert _kv(dynamodb_stack, *words).status == 0
    told: list[dict[str, object]] = []

    def collect() -> list[dict[str, object]]:
        for message in queues.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            told.append(json.loads(message["Body"]))
            queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return told

    eventually(collect, lambda changes: len(changes) >= 2, seconds=60)
    assert [(change["key"], change["op"]) for change in told] == [(key, "put"), (key, "del")]


def test_an_update_keeps_the_tables_data_and_a_delete_leaves_the_table_and_nothing_else(
    cloud: Cloud, passing_stack: Stack, image: str, key: str
) -> None:
    name = passing_stack.name
    user = Deployed(f"stack://{name}", cloud.user(f"u-{uuid4().hex}", *caller(passing_stack)))
    before, live = _everything(cloud, name), _live(cloud, passing_stack)
    assert _kv(user, "set", key, "kept").status == 0

    updated = cloud.deploy(
        name,
        image,
        Release="second",
        Engine="dynamodb",
        MemorySize="256",
        AlarmEmail="b@example.org",
    )

    assert updated.outputs["TableName"] == passing_stack.outputs["TableName"]
    assert updated.outputs["Endpoint"] == passing_stack.outputs["Endpoint"]
    assert _kv(user, "get", key).stdout == "kept\n"
    assert _live(cloud, updated) != live
    assert _live(cloud, updated)[1] == 256

    cloud.delete(name)

    table = passing_stack.outputs["TableName"]
    assert len(before) > 10
    assert _everything(cloud, name) == {f"table {table}"}
    assert cloud.client("dynamodb").scan(TableName=table)["Count"] == 1


def _live(cloud: Cloud, stack: Stack) -> tuple[str, int]:
    """Return the version that the alias names, and its memory."""
    live = cloud.client("lambda").get_function_configuration(
        FunctionName=stack.resources["KvStoreFunction"], Qualifier="live"
    )
    return live["Version"], live["MemorySize"]


def _is_denied(client: Any, operation: str, arguments: dict[str, str]) -> bool:
    try:
        getattr(client, operation)(**arguments)
    except ClientError as error:
        return bool(re.search("AccessDenied|AuthorizationError", str(error)))
    return False


def _everything(cloud: Cloud, prefix: str) -> set[str]:
    """Return what the account holds of a stack, by the names that CloudFormation makes."""
    found = {
        "table": cloud.client("dynamodb").list_tables()["TableNames"],
        "function": _names(cloud.client("lambda").list_functions()["Functions"], "FunctionName"),
        "role": _names(cloud.client("iam").list_roles()["Roles"], "RoleName"),
        "alarm": _names(cloud.client("cloudwatch").describe_alarms()["MetricAlarms"], "AlarmName"),
        "dashboard": _names(
            cloud.client("cloudwatch").list_dashboards()["DashboardEntries"], "DashboardName"
        ),
        "api": _names(cloud.client("apigatewayv2").get_apis()["Items"], "Name"),
        "log": [
            name.removeprefix("/aws/vendedlogs/").removeprefix("/aws/cloudformation/")
            for name in _names(
                cloud.client("logs").describe_log_groups()["logGroups"], "logGroupName"
            )
        ],
        "topic": [
            arn.rpartition(":")[2]
            for arn in _names(cloud.client("sns").list_topics()["Topics"], "TopicArn")
        ],
        "queue": [
            url.rpartition("/")[2] for url in cloud.client("sqs").list_queues().get("QueueUrls", [])
        ],
        "mapping": [
            arn.rpartition(":")[2]
            for arn in _names(
                cloud.client("lambda").list_event_source_mappings()["EventSourceMappings"],
                "FunctionArn",
            )
        ],
    }
    return {
        f"{kind} {name}"
        for kind, names in found.items()
        for name in names
        if name.startswith(prefix)
    }


def _names(items: list[dict[str, str]], field: str) -> list[str]:
    return [item[field] for item in items]


def _containers(cloud: Cloud, function: str) -> list[str]:
    """Return the environments of a function that are there now."""
    label = f"label=ministack.instance={gethostname()}:{cloud.url.rpartition(':')[2]}"
    running = run("docker", "ps", "--quiet", "--filter", label).split()
    named = f"AWS_LAMBDA_FUNCTION_NAME={function}"
    return [each for each in running if named in run("docker", "inspect", each)]


def _environment_of(cloud: Cloud, function: str) -> dict[str, str]:
    container = _containers(cloud, function)[0]
    listed = run("docker", "inspect", "--format", "{{json .Config.Env}}", container)
    return dict(each.split("=", 1) for each in json.loads(listed))
