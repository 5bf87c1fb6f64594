"""The runtimes: the same cases go through each, over HTTP or what stands for it there."""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests import dynamodb, gateways, runtimes
from tests.contract.store import Store

# Each is a fixture that yields an endpoint's URL, or that and the environment of its caller.
DEPLOYED = os.environ.get("KV_TEST_ENDPOINT")
PARAMETERS = ["deployed"] if DEPLOYED else runtimes.NAMES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the cases that a runtime has a gap for, each with its reason."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        runtime = parameters.get("store")
        for gap in item.iter_markers("gap"):
            *names, reason = gap.args
            if runtime in names:
                item.add_marker(pytest.mark.skip(reason=f"{runtime}: {reason}"))


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def deployed() -> str:
    """Return the store that the environment names, in place of all others."""
    return DEPLOYED or ""


@pytest.fixture(scope="session")
def local() -> str:
    return "local://"


@pytest.fixture(scope="session")
def gateway() -> Iterator[str]:
    with gateways.gateway() as running:
        yield running.url


@pytest.fixture(scope="session")
def dynamodb_environment() -> Iterator[dict[str, str]]:
    """Yield the handler's environment for the DynamoDB engine, on a table in moto's server."""
    with dynamodb.moto() as url, pytest.MonkeyPatch.context() as patch:
        environment = {
            **dynamodb.CREDENTIALS,
            "AWS_REGION": dynamodb.REGION,
            "AWS_ENDPOINT_URL": url,
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        table = dynamodb.make_table()
        yield {**environment, "KV_ENGINE": "dynamodb", "KV_TABLE": table}


@pytest.fixture(scope="session")
def dynamodb_gateway(dynamodb_environment: dict[str, str]) -> Iterator[str]:
    with gateways.gateway(**dynamodb_environment) as running:
        yield running.url


@pytest.fixture(scope="session")
def dynamodb_image(dynamodb_environment: dict[str, str], image: str) -> Iterator[str]:
    with runtimes.rie_image_on_host(image, dynamodb_environment) as endpoint:
        yield endpoint


@pytest.fixture(scope="session", params=PARAMETERS)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    endpoint = request.getfixturevalue(request.param)
    with Store(request.param, *([endpoint] if isinstance(endpoint, str) else endpoint)) as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def _empty_table(request: pytest.FixtureRequest, store: Store) -> None:
    """Begin each module with an empty table where moto has it: it slows down with every item."""
    if store.runtime in ("dynamodb_gateway", "dynamodb_image"):
        dynamodb.empty(request.getfixturevalue("dynamodb_environment")["KV_TABLE"])


@pytest.fixture
def key() -> str:
    """Return a key that no other case has; those that begin with it are the case's too."""
    return f"case-{uuid4().hex}"
