"""The README's way from an empty account to a signed set, in an emulation of AWS."""

import subprocess
from pathlib import Path

import pytest

from tests.command_line import process
from tests.conftest import need
from tests.runtimes import SAM, copy_of_checkout, ministack_problem
from tools.cloud import cloud

pytestmark = pytest.mark.docker


def test_sam_build_and_sam_deploy_are_enough(registry: None, sam: None, tmp_path: Path) -> None:
    need(ministack_problem())
    clone = copy_of_checkout(tmp_path / "clone")

    with cloud() as emulation:
        for words in (["build"], ["deploy"]):
            done = subprocess.run(
                [SAM, *words],
                cwd=clone,
                env=emulation.sam_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        emulation.complete("kv-store", {})
        ended = process(
            "set", "name", "ashish", endpoint="stack://kv-store", **emulation.environment()
        )

    assert (0, b"set name (version 1)\n") == (ended.returncode, ended.stdout)
