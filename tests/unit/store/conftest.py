"""The DynamoDB engine, as its tests have it: on moto's server, with a clock that they turn."""

from collections.abc import Iterator

import boto3
import pytest

from handler.store.dynamodb.engine import DynamoStore
from handler.store.dynamodb.table import Table
from tests import dynamodb
from tests.clock import Clock


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with dynamodb.moto() as url:
        yield url


@pytest.fixture
def endpoint(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point boto3 at moto's server."""
    for name, value in dynamodb.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    return moto


@pytest.fixture
def table(endpoint: str) -> Iterator[Table]:
    table = dynamodb.open_table(dynamodb.make_table())
    yield table
    # Moto copies every table that there is for each transaction.
    boto3.client("dynamodb", region_name=dynamodb.REGION).delete_table(TableName=table.name)


@pytest.fixture
def wire(table: Table) -> dynamodb.Wire:
    return dynamodb.Wire(table)


@pytest.fixture
def store(table: Table, clock: Clock) -> DynamoStore:
    return DynamoStore(table, clock=clock)


@pytest.fixture
def other(table: Table, clock: Clock) -> DynamoStore:
    """Return the store as another environment has it."""
    return DynamoStore(dynamodb.open_table(table.name), clock=clock)
