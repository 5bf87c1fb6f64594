"""DynamoDB for tests: servers that emulate it, tables in them, and what may go wrong on the way."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection, socket
from typing import Any
from uuid import uuid4

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from moto.server import ThreadedMotoServer

from handler.store.dynamodb.items import table_definition
from handler.store.dynamodb.table import Table
from tests.polling import eventually

REGION = "us-east-1"
# Ministack takes the access key's id for the account; moto takes any.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "123456789012", "AWS_SECRET_ACCESS_KEY": "any"}
MINISTACK = Path(__file__).parent.parent / ".venv-ministack" / "bin" / "ministack"


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's server on a free port of this machine and yield its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """Run ministack on a free port of this machine, on loopback only, and yield its URL."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        # These would listen on ports of their own, on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "SERVICES": "dynamodb",
        "TMPDIR": str(folder),
    }
    with subprocess.Popen([MINISTACK], env={**os.environ, **settings}) as process:
        try:
            eventually(lambda: _listens(port), bool, seconds=30)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def make_table(**changes: Any) -> str:
    """Make a table, as the environment's endpoint has it, and return its name."""
    name = f"kv-{uuid4().hex}"
    definition = {**table_definition(name), **changes}
    boto3.client("dynamodb", region_name=REGION).create_table(**definition)
    return name


def empty(name: str) -> None:
    """Make a table anew."""
    client = boto3.client("dynamodb", region_name=REGION)
    client.delete_table(TableName=name)
    client.create_table(**table_definition(name))


def open_table(name: str) -> Table:
    """Open a table that waits for nothing between two attempts, and for moto however slow it is."""
    return Table(name, REGION, sleep=lambda _: None, timer=lambda: 0.0)


class Wire:
    """Counts the requests to DynamoDB, and spoils the next ones as it is told."""

    def __init__(self, table: Table) -> None:
        self.requests: list[str] = []
        self._spoilers: list[tuple[str, Callable[[AWSPreparedRequest], AWSResponse | None]]] = []
        table.client.meta.events.register("before-send.dynamodb", self._send)

    def lose_request(self, operation: str) -> None:
        """Have the connection refused."""

        def lose(request: AWSPreparedRequest) -> None:
            raise EndpointConnectionError(endpoint_url=request.url)

        self._spoilers.append((operation, lose))

    def lose_answer(self, operation: str, then: Callable[[], object] = lambda: None) -> None:
        """Have the request done, and more happen, but no answer come."""

        def lose(request: AWSPreparedRequest) -> None:
            URLLib3Session().send(request)
            then()
            raise ReadTimeoutError(endpoint_url=request.url)

        self._spoilers.append((operation, lose))

    def lose_both(self, operation: str) -> None:
        """Have neither the request done, nor an answer come."""

        def lose(request: AWSPreparedRequest) -> None:
            raise ReadTimeoutError(endpoint_url=request.url)

        self._spoilers.append((operation, lose))

    def refuse(self, operation: str, status: int, code: str) -> None:
        """Have DynamoDB answer an error."""
        body = f'{{"__type": "com.amazonaws.dynamodb.v20120810#{code}", "message": "as told"}}'

        def answer(request: AWSPreparedRequest) -> AWSResponse:
            return AWSResponse(request.url, status, {}, _Body(body.encode()))

        self._spoilers.append((operation, answer))

    def do_first(self, operation: str, action: Callable[[], object]) -> None:
        """Have something happen just before the request arrives."""

        def act(_: AWSPreparedRequest) -> None:
            action()

        self._spoilers.append((operation, act))

    def throttle(self, operation: str, after: int = 0) -> None:
        """Have DynamoDB refuse every request of an operation, after some."""
        self._spoilers += [(operation, lambda _: None)] * after
        for _ in range(100):
            self.refuse(operation, 400, "ProvisionedThroughputExceededException")

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        target = request.headers["X-Amz-Target"]
        operation = (target if isinstance(target, str) else target.decode()).rpartition(".")[2]
        self.requests.append(operation)
        for spoiler in self._spoilers:
            if spoiler[0] == operation:
                self._spoilers.remove(spoiler)
                return spoiler[1](request)
        return None


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


def _listens(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True
