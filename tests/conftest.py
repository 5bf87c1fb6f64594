"""What tests share: the runtimes that the handler is run in, each started once for all tests."""

import os
import sys
from collections.abc import Iterator

import pytest

from tests import runtimes


@pytest.fixture(scope="session")
def docker() -> None:
    """Require a Docker engine that answers."""
    _need(runtimes.docker_problem())


@pytest.fixture(scope="session")
def sam() -> None:
    """Require the SAM CLI."""
    _need(runtimes.sam_problem())


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
def sam_start_api(docker: None, sam: None) -> Iterator[str]:
    """Run `sam local start-api` and yield its URL."""
    with runtimes.sam_start_api() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def sam_start_lambda(docker: None, sam: None) -> Iterator[str]:
    """Run `sam local start-lambda` and yield the URL of its Invoke API."""
    with runtimes.sam_start_lambda() as endpoint:
        yield endpoint


def _need(problem: str | None) -> None:
    if problem and os.environ.get("KV_REQUIRE_DOCKER") == "1":
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
