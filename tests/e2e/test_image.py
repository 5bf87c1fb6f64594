import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import runtimes
from tests.event_files import send
from tests.runtimes import ROOT, run

pytestmark = pytest.mark.docker

_BASE = "public.ecr.aws/lambda/python:3.13"
_PINS = re.findall(
    r"^([\w-]+)==(\S+)", (ROOT / "handler/requirements.txt").read_text(), re.MULTILINE
)

# Prints the sources under /var/task whose bytecode is not there, not theirs, or checked on import,
# and the bytecode that belongs to no source.
_BYTECODE = """
import importlib.util, pathlib
stray = set(pathlib.Path("/var/task").rglob("*.pyc"))
for source in pathlib.Path("/var/task").rglob("*.py"):
    compiled = pathlib.Path(importlib.util.cache_from_source(source))
    header = compiled.read_bytes()[:16] if compiled.exists() else b""
    unchecked = (0b01).to_bytes(4, "little") + importlib.util.source_hash(source.read_bytes())
    if header != importlib.util.MAGIC_NUMBER + unchecked:
        print(source)
    stray.discard(compiled)
print(*stray, sep="\\n", end="")
"""
# Prints path, mode and content of every file: below /var/task, and elsewhere its path alone.
_FILES = """
import hashlib, os
for folder, _, names in os.walk("/var/task"):
    for path in [os.path.join(folder, name) for name in names]:
        with open(path, "rb") as file:
            print(path, oct(os.stat(path).st_mode), hashlib.file_digest(file, "sha256").hexdigest())
"""
_PATHS_ELSEWHERE = """
import os
for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if not os.path.ismount(os.path.join(folder, name))]
    if not folder.startswith("/var/task"):
        print(*(os.path.join(folder, name) for name in names), sep="\\n")
"""


def _python(image: str, program: str) -> list[str]:
    """Run a program in an image; return the lines that it prints, in order."""
    return sorted(
        run("docker", "run", "--rm", "--entrypoint", "python3", image, "-c", program).splitlines()
    )


@pytest.fixture
def fresh_image(image: str) -> Iterator[str]:
    """Build the image once more, from nothing, for this test only."""
    tag = runtimes.build_image("kv-store-test-again", "--no-cache")
    yield tag
    run("docker", "rmi", tag)


def test_data_lives_from_one_invocation_to_the_next(image: str) -> None:
    with runtimes.rie_image(image) as endpoint:
        assert send(endpoint, "set")["statusCode"] == 201
        answer = send(endpoint, "get")

    assert json.loads(answer["body"])["value"] == "ashish"


def test_a_new_container_starts_with_an_empty_store(image: str) -> None:
    with runtimes.rie_image(image) as endpoint:
        assert send(endpoint, "set")["statusCode"] == 201
    with runtimes.rie_image(image) as endpoint:
        assert send(endpoint, "get")["statusCode"] == 404


def test_it_runs_as_lambda_runs_it_on_a_read_only_disk_as_a_user_of_no_privilege(
    image: str,
) -> None:
    with runtimes.rie_image(image, "--read-only", "--user", "993:990") as endpoint:
        assert send(endpoint, "set")["statusCode"] == 201


def test_every_source_has_bytecode_that_is_its_own_and_is_not_checked_at_the_start(
    image: str,
) -> None:
    assert _python(image, _BYTECODE) == []


def test_it_holds_what_the_lock_names_and_the_handler_and_nothing_else(image: str) -> None:
    there = _python(image, 'import os; print(*os.listdir("/var/task"), sep="\\n")')
    distributions = [name for name in there if name.endswith(".dist-info")]

    assert sorted(
        f"{name.replace('-', '_')}-{version}.dist-info" for name, version in _PINS
    ) == sorted(distributions)
    assert set(there) - set(distributions) == {
        "__pycache__",
        "aws_lambda_powertools",
        "boto3",
        "botocore",
        "dateutil",
        "handler",
        "jmespath",
        "msgspec",
        "s3transfer",
        "six.py",
        "sortedcontainers",
        "typing_extensions.py",
        "urllib3",
    }


def test_no_tests_are_left_in_it(image: str) -> None:
    paths = [Path(line.split()[0]) for line in _python(image, _FILES)]

    assert [path for path in paths if {"test", "tests"} & set(path.parts)] == []


def test_outside_of_var_task_no_file_is_added_to_the_base(image: str) -> None:
    ours, base = (_python(name, _PATHS_ELSEWHERE) for name in (image, _BASE))

    assert len(ours) > 1000
    assert ours == base


def test_a_second_build_has_the_same_content(image: str, fresh_image: str) -> None:
    first = _python(image, _FILES)

    assert len(first) > len(_PINS)
    assert first == _python(fresh_image, _FILES)
