"""The ways the handler runs outside this process: each is started, named by its URL, and ended."""

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from socket import socket

from tools.cloud import EMULATOR, ROOT, SAM

# The slowest go first, so that of several processes none is left alone with one in the end.
NAMES = [
    "dynamodb_stack",
    "sam_start_api",
    "memory_stack",
    "dynamodb_image",
    "dynamodb_gateway",
    "rie_image",
    "rie_bare",
    "gateway",
    "local",
]

_LOOPBACK = "127.0.0.1"
_PATIENCE = 60.0


def docker_problem() -> str | None:
    """Return why Docker cannot be used here, or None where an engine answers."""
    if not shutil.which("docker"):
        return "there is no docker command"
    return None if _run("docker", "info").returncode == 0 else "no Docker engine answers"


def sam_problem() -> str | None:
    """Return why the SAM CLI cannot be used here, or None where it is installed."""
    return None if SAM.exists() else f"the SAM CLI is not in {SAM.parent.parent.name}"


def ministack_problem() -> str | None:
    """Return why AWS cannot be emulated here, or None where it can."""
    return None if EMULATOR.exists() else f"ministack is not in {EMULATOR.parent.parent.name}"


def run(
    *command: str | Path, environment: dict[str, str] | None = None, folder: Path = ROOT
) -> str:
    """Run a command, by default at the checkout's root, and return what it printed.

    Raises:
        AssertionError: It failed; the message holds all that it said.
    """
    done = _run(*command, environment=environment, folder=folder)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{_output(done)}"
    return done.stdout


def copy_of_checkout(folder: Path) -> Path:
    """Copy the checkout as an archive has it: without history, or what was installed in it."""
    left_out = (".venv*", ".git", ".aws-sam", "__pycache__", ".*_cache", ".coverage*")
    return shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*left_out))


def build_image(name: str, *options: str) -> str:
    """Build the container image from the checkout; return its tag, which is this checkout's own."""
    tag = f"{name}:{sha256(bytes(ROOT)).hexdigest()[:8]}"
    run("docker", "build", "--tag", tag, *options, ".")
    return tag


@contextmanager
def rie_image(image: str, *options: str) -> Iterator[str]:
    """Run an image under its emulator.

    Args:
        image: The tag of the image.
        options: Further options of ``docker create``.

    Yields:
        The endpoint's URL.
    """
    publish = ("--publish", f"{_LOOPBACK}::8080")
    with _container(*publish, *options, image) as container:
        address = run("docker", "port", container, "8080/tcp").strip()
        _wait_for_container(container, address)
        yield f"rie://{address}"


@contextmanager
def rie_image_on_host(image: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Run an image under its emulator in the host's network, where it reaches loopback servers.

    Args:
        image: The tag of the image.
        environment: The function's environment.

    Yields:
        The endpoint's URL.
    """
    address, runtime_api = _free_address(), _free_address()
    settings = {**environment, "_HANDLER": "handler.app.lambda_handler"}
    with _container(
        *("--network", "host", "--entrypoint", "/usr/local/bin/aws-lambda-rie"),
        *(f"--env={name}={value}" for name, value in settings.items()),
        image,
        *("--runtime-interface-emulator-address", address),
        *("--runtime-api-address", runtime_api),
        "/var/runtime/bootstrap",
    ) as container:
        _wait_for_container(container, address)
        yield f"rie://{address}"


@contextmanager
def rie_bare() -> Iterator[str]:
    """Run the checkout's handler under the bare emulator, without Docker.

    Yields:
        The endpoint's URL.
    """
    address, runtime_api = _free_address(), _free_address()
    command = (
        emulator(),
        *("--runtime-interface-emulator-address", address),
        *("--runtime-api-address", runtime_api),
        *(sys.executable, "-m", "awslambdaric", "handler.app.lambda_handler"),
    )
    with _process(command, address):
        yield f"rie://{address}"


def sam_build(folder: Path) -> Path:
    """Build the checkout with SAM in a folder of its own: it serves nothing while it builds there.

    Returns:
        The folder, where the SAM CLI is to be run.
    """
    copy_of_checkout(folder)
    run(SAM, "build", environment=sam_environment(), folder=folder)
    return folder


@contextmanager
def sam_local(command: str, folder: Path) -> Iterator[str]:
    """Serve with ``sam local``.

    Args:
        command: ``start-api``, or ``start-lambda`` for the Invoke API, which knows the function by
            its logical id.
        folder: Where SAM built.

    Yields:
        The server's URL.
    """
    address = _free_address()
    words = (SAM, "local", command, "--port", address.rpartition(":")[2])
    with _process(words, address, sam_environment(), folder, after=_remove_sam_containers):
        yield f"http://{address}"


def sam_environment() -> dict[str, str]:
    """Return an environment in which the SAM CLI talks to nobody but Docker."""
    home = ROOT / ".aws-sam/home"
    home.mkdir(parents=True, exist_ok=True)
    # It asks for its newest version where it did not in the last week.
    (home / "metadata.json").write_text(f'{{"lastVersionCheck": {time.time()}}}')
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return ours | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(home),
    }


def emulator() -> Path:
    """Return the Runtime Interface Emulator, which the SAM CLI brings along."""
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    [binary] = SAM.parent.parent.glob(
        f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{architecture}"
    )
    return binary


@contextmanager
def _process(
    command: tuple[str | Path, ...],
    address: str,
    environment: dict[str, str] | None = None,
    folder: Path = ROOT,
    after: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Run a server until the block ends.

    Args:
        command: What to run.
        address: Where the block may count on it to answer.
        environment: Its environment; by default, this process's own.
        folder: Where to run it.
        after: Is given the server's log once the server has ended, however it went.
    """
    with tempfile.NamedTemporaryFile() as file:

        def log() -> str:
            return Path(file.name).read_text(errors="replace")

        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_answering(address, is_running=lambda: server.poll() is None, log=log)
            yield
        finally:
            server.terminate()
            try:
                server.wait(timeout=30)
            finally:
                _kill_group(server.pid)
                server.wait()
                after(log())


def _remove_sam_containers(log: str) -> None:
    # SAM removes them itself, unless it had to be killed.
    for container in re.findall("SAM_CONTAINER_ID: ([0-9a-f]+)", log):
        _run("docker", "rm", "--force", container)


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _free_address() -> str:
    with socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return f"{_LOOPBACK}:{probe.getsockname()[1]}"


@contextmanager
def _container(*arguments: str) -> Iterator[str]:
    """Run a container, made with the arguments of ``docker create``, and yield its id."""
    container = run("docker", "create", *arguments).strip()
    try:
        run("docker", "start", container)
        yield container
    finally:
        run("docker", "rm", "--force", container)


def _wait_for_container(container: str, address: str) -> None:
    state = "{{.State.Running}}"
    _wait_until_answering(
        address,
        is_running=lambda: "true" in run("docker", "inspect", "-f", state, container),
        log=lambda: _output(_run("docker", "logs", container)),
    )


def _wait_until_answering(
    address: str, *, is_running: Callable[[], bool], log: Callable[[], str]
) -> None:
    """Wait until a server answers HTTP, be it with an error: an open port may be just Docker's."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            _status(address)
        except ConnectionError:
            assert is_running(), f"the server at {address} ended:\n{log()}"
            assert time.monotonic() < deadline, f"nothing answers at {address}:\n{log()}"
            time.sleep(0.05)
        else:
            return


def _status(address: str) -> int:
    # Without requests, which would ask the environment for a proxy.
    with closing(HTTPConnection(address, timeout=_PATIENCE)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status


def _run(
    *command: str | Path, environment: dict[str, str] | None = None, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def _output(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr
