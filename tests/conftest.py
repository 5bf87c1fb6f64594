"""What tests share: the runtimes that the handler is run in, each started once for all tests."""

import os
from collections.abc import Iterator

import pytest

from tests import runtimes


@pytest.fixture(scope="session")
def docker() -> None:
    """A Docker engine that answers."""
    _need(runtimes.docker_problem())


@pytest.fixture(scope="session")
def sam() -> None:
    """The SAM CLI."""
    _need(runtimes.sam_problem())


@pytest.fixture(scope="session")
def image(docker: None) -> str:
    """The container image, by its tag."""
    return runtimes.build_image("kv-store-test")


@pytest.fixture(scope="session")
def rie_image(image: str) -> Iterator[str]:
    """The endpoint of the image under its emulator."""
    with runtimes.rie_image(image) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def rie_bare(sam: None) -> Iterator[str]:
    """The endpoint of the handler under the bare emulator, which SAM brings along."""
    with runtimes.rie_bare() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def sam_start_api(docker: None, sam: None) -> Iterator[str]:
    """The endpoint of `sam local start-api`."""
    with runtimes.sam_start_api() as endpoint:
        yield endpoint


def _need(problem: str | None) -> None:
    if problem and os.environ.get("KV_REQUIRE_DOCKER") == "1":
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
