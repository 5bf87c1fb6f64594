"""What tests share: the runtimes that the handler is run in, each started once for all tests."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import runtimes
from tools import cloud as cloud_
from tools.cloud import Cloud, caller

# Where the tests run in the background, interrupts may be ignored, and programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

_RUNTIME = re.compile(rf"(?<=[\[-])({'|'.join(runtimes.NAMES)})(?=[\]-])")


class Deployed(NamedTuple):
    """A stack, as someone sees it who may use it."""

    url: str
    environment: dict[str, str]


class ByRuntime(LoadScopeScheduling):
    """Where tests run in several processes, a runtime is started in one of them."""

    def _split_scope(self, nodeid: str) -> str:
        runtime = _RUNTIME.search(nodeid)
        return runtime[0] if runtime else super()._split_scope(nodeid).partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByRuntime:
    return ByRuntime(config, log)


@pytest.fixture(scope="session")
def docker() -> None:
    """Require a Docker engine that answers."""
    need(runtimes.docker_problem())


@pytest.fixture(scope="session")
def sam() -> None:
    """Require the SAM CLI."""
    need(runtimes.sam_problem())


@pytest.fixture(scope="session")
def image(docker: None) -> str:
    """Build the container image and return its tag."""
    return runtimes.build_image("kv-store-test")


@pytest.fixture(scope="session")
def rie_image(image: str) -> Iterator[str]:
    """Run the image under its emulator and yield its URL."""
    with runtimes.rie_image(image) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def rie_bare(sam: None) -> Iterator[str]:
    """Run the handler under the bare emulator, which SAM brings along, and yield its URL."""
    if sys.platform != "linux":
        pytest.skip("the emulator is a program for Linux")
    with runtimes.rie_bare() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def sam_build(docker: None, sam: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the checkout with SAM; return the folder in which `sam local` finds it."""
    return runtimes.sam_build(tmp_path_factory.mktemp("sam") / "clone")


@pytest.fixture(scope="session")
def sam_start_api(sam_build: Path) -> Iterator[str]:
    """Run `sam local start-api` and yield its URL."""
    with runtimes.sam_local("start-api", sam_build) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def sam_start_lambda(sam_build: Path) -> Iterator[str]:
    """Run `sam local start-lambda` and yield the URL of its Invoke API."""
    with runtimes.sam_local("start-lambda", sam_build) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def cloud(docker: None, sam: None) -> Iterator[Cloud]:
    """Run an emulation of AWS."""
    need(runtimes.ministack_problem())
    with cloud_.cloud() as emulation:
        yield emulation


@pytest.fixture(scope="session")
def memory_stack(cloud: Cloud, image: str) -> Deployed:
    """Deploy the memory engine; return how its caller reaches it."""
    return _deployed(cloud, "kv-store", image)


@pytest.fixture(scope="session")
def dynamodb_stack(cloud: Cloud, image: str) -> Deployed:
    """Deploy the DynamoDB engine; return how its caller reaches it."""
    return _deployed(cloud, "kv-store-dynamodb", image, Engine="dynamodb")


def _deployed(cloud: Cloud, name: str, image: str, **parameters: str) -> Deployed:
    stack = cloud.deploy(name, image, **parameters)
    return Deployed(f"stack://{name}", cloud.user(f"caller-of-{name}", *caller(stack)))


def need(problem: str | None) -> None:
    """Skip the test where there is a problem, or fail it where Docker is required."""
    if problem and os.environ.get("KV_REQUIRE_DOCKER") == "1":
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
