"""The runtimes: the same cases go through each, over HTTP or what stands for it there."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests import gateways
from tests.contract.store import Store

# Each is a fixture that yields an endpoint's URL.
RUNTIMES = ["local", "gateway", "rie_bare", "rie_image", "sam_start_api"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the cases that a runtime has a gap for, each with its reason."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        runtime = parameters.get("store")
        for gap in item.iter_markers("gap"):
            if gap.args[0] == runtime:
                item.add_marker(pytest.mark.skip(reason=f"{runtime}: {gap.args[1]}"))


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def local() -> str:
    return "local://"


@pytest.fixture(scope="session")
def gateway() -> Iterator[str]:
    with gateways.gateway() as running:
        yield running.url


@pytest.fixture(scope="session", params=RUNTIMES)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with Store(request.getfixturevalue(request.param)) as opened:
        yield opened


@pytest.fixture
def key() -> str:
    """Return a key that no other case has; those that begin with it are the case's too."""
    return f"case-{uuid4().hex}"
