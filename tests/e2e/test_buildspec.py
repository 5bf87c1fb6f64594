"""The build, run as CodeBuild runs it, with a registry in ECR's place and AWS emulated."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import requests
import yaml

from tests import codebuild, runtimes
from tests.runtimes import ROOT, copy_of_checkout, run
from tests.templates import expanded, of
from tools.cloud import REGISTRY, Cloud

pytestmark = pytest.mark.docker

_SPEC = (ROOT / "buildspec.yaml").read_text()


@pytest.fixture(scope="module")
def source(registry: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_checkout(tmp_path_factory.mktemp("build") / "source")


@pytest.fixture(scope="module")
def environment(cloud: Cloud, registry: None) -> dict[str, str]:
    """Return what the project and CodeBuild put into the environment."""
    return {
        **cloud.environment(),
        "CODEBUILD_RESOLVED_SOURCE_VERSION": uuid4().hex + "00000000",
        "KV_REQUIRE_DOCKER": "",
        "REPOSITORY_URI": f"{REGISTRY}/kv-store-{uuid4().hex}",
        # The emulation has no scan.
        "SCAN_FAILS_ON": "",
        # Some that look about them: there is no history here, and CodeBuild has credentials.
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/any",
        "TESTS": "-q tests/e2e/test_buildspec.py tests/unit/store/test_dynamodb_start.py",
    }


@pytest.fixture(scope="module")
def built(
    source: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> codebuild.Build:
    """Build once, for all tests that look at the outcome."""
    build = codebuild.build(source, tmp_path_factory.mktemp("build"), _SPEC, **environment)
    assert build.succeeded, build.output
    return build


def _tag(environment: dict[str, str]) -> str:
    commit = environment["CODEBUILD_RESOLVED_SOURCE_VERSION"]
    return f"{environment['REPOSITORY_URI']}:{commit}"


def _digest(environment: dict[str, str]) -> str | None:
    """Return the digest that the registry has for the commit, or None."""
    host, _, rest = _tag(environment).partition("/")
    name, _, tag = rest.partition(":")
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    url = f"http://{host}/v2/{name}/manifests/{tag}"
    answer = requests.head(url, headers=accept, timeout=30)
    return answer.headers["Docker-Content-Digest"] if answer.status_code == 200 else None


def test_it_pushes_the_image_under_the_commit_and_exports_it_by_digest(
    built: codebuild.Build, environment: dict[str, str]
) -> None:
    assert built.exported["IMAGE"] == f"{environment['REPOSITORY_URI']}@{_digest(environment)}"


@pytest.mark.parametrize(("engine", "count"), [("memory", 2), ("dynamodb", 3)])
def test_the_packaged_template_names_that_image_for_every_function(
    built: codebuild.Build, source: Path, engine: str, count: int
) -> None:
    template = expanded(source / "packaged.yaml", Engine=engine, GradualDeployment="true")
    images = [each["Code"]["ImageUri"] for each in of(template, "AWS::Lambda::Function").values()]
    default = template["Parameters"]["ImageUri"]["Default"]

    assert built.exported["IMAGE"] == default
    assert [default] * count == [
        default if each == {"Ref": "ImageUri"} else each for each in images
    ]


def test_the_artifacts_are_there(built: codebuild.Build, source: Path) -> None:
    spec = yaml.safe_load(_SPEC)

    assert [name for name in spec["artifacts"]["files"] if not (source / name).exists()] == []


def test_the_image_pulled_by_its_tag_passes_the_contract(
    built: codebuild.Build, environment: dict[str, str]
) -> None:
    run("docker", "rmi", "--force", _tag(environment))
    run("docker", "pull", _tag(environment))

    with runtimes.rie_image(_tag(environment)) as endpoint:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "tests/contract"],
            cwd=ROOT,
            env={**os.environ, "KV_TEST_ENDPOINT": endpoint},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stdout


def test_a_second_build_of_the_commit_succeeds_and_pushes_nothing(
    built: codebuild.Build, source: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    before = _digest(environment)
    run("docker", "rmi", "--force", _tag(environment))

    again = codebuild.build(source, tmp_path, _SPEC, **environment)

    assert again.succeeded, again.output
    assert "was pushed by an earlier build of this commit" in again.output
    assert again.exported == built.exported
    assert before == _digest(environment)


def test_a_broken_unit_test_ends_the_build_before_anything_is_pushed(
    built: codebuild.Build, source: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    other = {**environment, "CODEBUILD_RESOLVED_SOURCE_VERSION": uuid4().hex + "11111111"}
    broken = source / "tests/unit/test_broken.py"
    broken.write_text("def test_broken() -> None:\n    assert False\n")

    ended = codebuild.build(
        source, tmp_path, _SPEC, **{**other, "TESTS": "-q tests/unit/test_broken.py"}
    )
    broken.unlink()

    assert not ended.succeeded
    assert "1 failed" in ended.output
    assert "# phase build\n" not in ended.output
    assert _digest(other) is None
