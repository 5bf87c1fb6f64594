"""The README's way from an empty account to a signed set, in an emulation of AWS."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.command_line import process
from tests.conftest import need
from tests.runtimes import SAM, copy_of_checkout, ministack_problem
from tools.cloud import cloud

pytestmark = pytest.mark.docker


@pytest.mark.usefixtures("registry", "sam")
@pytest.mark.parametrize(
    ("options", "stack", "engine"),
    [([], "kv-store", "memory"), (["--config-env", "prod"], "kv-store-prod", "dynamodb")],
)
def test_sam_build_and_sam_deploy_are_enough(
    tmp_path: Path, options: list[str], stack: str, engine: str
) -> None:
    need(ministack_problem())
    clone = copy_of_checkout(tmp_path / "clone")

    with cloud() as emulation:
        for command in (["build"], ["deploy", *options]):
            done = subprocess.run(
                [SAM, *command],
                cwd=clone,
                env=emulation.sam_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        emulation.complete(stack, {})
        environment = emulation.environment()
        ended = process("set", "name", "ashish", endpoint=f"stack://{stack}", **environment)
        status = process("status", "--json", endpoint=f"stack://{stack}", **environment)

    assert (0, b"set name (version 1)\n") == (ended.returncode, ended.stdout), ended.stderr
    assert engine == json.loads(status.stdout)["engine"]
