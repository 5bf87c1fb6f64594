"""How the engine starts: on the right table, or not at all."""

import subprocess
import sys
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from handler.errors import EngineUnavailable
from handler.settings import SettingsError, load
from handler.store import open_store
from handler.store.dynamodb.items import table_definition
from handler.store.dynamodb.table import Table
from tests import dynamodb


def open_named(name: str) -> Any:
    environment = {"KV_ENGINE": "dynamodb", "KV_TABLE": name, "AWS_REGION": dynamodb.REGION}
    return open_store(load(environment))


def index(name: str) -> list[Any]:
    """Return the indexes without the one that is named."""
    every = table_definition("any")["GlobalSecondaryIndexes"]
    return [each for each in every if each["IndexName"] != name]


def test_the_settings_open_the_engine(endpoint: str) -> None:
    store = open_named(dynamodb.make_table())

    assert ("dynamodb", "") == (store.engine, store.instance)
    assert 1 == store.increment("a", 1).version


def test_a_missing_table_stops_the_start(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="KV_TABLE is 'kv-none': there is no such table"):
        open_named("kv-none")


def test_a_table_with_another_key_stops_the_start(endpoint: str) -> None:
    name = dynamodb.make_table(
        KeySchema=[
            {"AttributeName": "sk", "KeyType": "HASH"},
            {"AttributeName": "pk", "KeyType": "RANGE"},
        ]
    )

    with pytest.raises(SettingsError, match=r"must be pk \(HASH, S\) and sk \(RANGE, S\)"):
        open_named(name)


def test_a_table_whose_key_is_no_text_stops_the_start(endpoint: str) -> None:
    attributes = table_definition("any")["AttributeDefinitions"]
    numbers = [
        {**each, "AttributeType": "N"} if each["AttributeName"] == "pk" else each
        for each in attributes
    ]
    name = dynamodb.make_table(AttributeDefinitions=numbers)

    with pytest.raises(SettingsError, match="a table with another key"):
        open_named(name)


@pytest.mark.parametrize("missing", ["subscriptions", "changes"])
def test_a_table_without_an_index_stops_the_start(endpoint: str, missing: str) -> None:
    rest = index(missing)
    used = {part["AttributeName"] for each in rest for part in each["KeySchema"]} | {"pk", "sk"}
    attributes = [{"AttributeName": each, "AttributeType": "S"} for each in sorted(used)]
    name = dynamodb.make_table(GlobalSecondaryIndexes=rest, AttributeDefinitions=attributes)

    with pytest.raises(SettingsError, match=f"without the index {missing} on"):
        open_named(name)


@pytest.mark.parametrize("operation", ["DescribeTable", "GetItem"])
def test_a_table_that_may_not_be_read_stops_the_start(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    name = dynamodb.make_table()
    call = Table._call

    def refused(table: Table, function: Any, **arguments: Any) -> Any:
        method = "".join(part.title() for part in function.__name__.split("_"))
        if method == operation:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, operation)
        return call(table, function, **arguments)

    monkeypatch.setattr(Table, "_call", refused)

    with pytest.raises(SettingsError, match="may not read it"):
        open_named(name)


def test_missing_credentials_stop_the_start(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    # A build in CodeBuild has some of its own.
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", raising=False)
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", raising=False)
    boto3.setup_default_session()

    with pytest.raises(SettingsError, match="no AWS credentials"):
        open_named("kv-any")


@pytest.mark.parametrize("missing", ["AWS_REGION", "KV_TABLE"])
def test_a_missing_variable_is_named(missing: str) -> None:
    environment = {"KV_ENGINE": "dynamodb", "KV_TABLE": "kv", "AWS_REGION": "us-east-1"}
    del environment[missing]

    with pytest.raises(SettingsError, match=f"{missing} is missing"):
        load(environment)


def test_the_engine_starts_while_dynamodb_is_out_of_reach_and_checks_the_table_later(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = dynamodb.make_table()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    table = dynamodb.open_table(name)

    with pytest.raises(EngineUnavailable):
        table.begin()

    table.client = boto3.client("dynamodb", region_name=dynamodb.REGION, endpoint_url=endpoint)
    table.begin()
    assert name in table.identity


def test_the_memory_engine_imports_no_boto3() -> None:
    program = "import sys, handler.app; print({'boto3', 'botocore.client'} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "set()\n" == done.stdout
