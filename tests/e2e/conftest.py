"""The registry that stands for ECR, and the templates, each expanded once."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest
from filelock import FileLock

from tests.conftest import need
from tests.polling import eventually
from tests.runtimes import ROOT, run
from tests.templates import ENGINES, Template, expanded_with, plain

_REGISTRY_SCRIPT = ROOT.parent / "shared/docker/ecr"


@pytest.fixture(scope="module")
def registry(docker: None) -> Iterator[None]:
    """Run a registry under ECR's name, of which a machine has one at a time."""
    need(None if _REGISTRY_SCRIPT.exists() else "there is no registry to stand for ECR here")
    with FileLock(Path(gettempdir()) / "kv-store-registry.lock"):
        # The script may miss what the engine knows: its grep ends while docker still writes to it.
        eventually(
            lambda: subprocess.run(_REGISTRY_SCRIPT, check=False).returncode,
            lambda status: status == 0,
        )
        yield
        run(_REGISTRY_SCRIPT, "stop")


@pytest.fixture(scope="session")
def memory(sam: None) -> Template:
    return expanded_with(Engine="memory")


@pytest.fixture(scope="session")
def dynamodb(sam: None) -> Template:
    return expanded_with(Engine="dynamodb", GradualDeployment="true", AlarmEmail="a@example.org")


@pytest.fixture(params=ENGINES)
def expanded(request: pytest.FixtureRequest) -> Template:
    """Return the template as it is expanded for each engine."""
    template: Template = request.getfixturevalue(request.param)
    return template


@pytest.fixture(scope="session")
def pipeline(sam: None) -> Template:
    return plain("pipeline.yaml")
