"""Gateways as users start them: processes of their own, named by the URL that they print."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Gateway(NamedTuple):
    """A gateway that listens."""

    url: str
    process: subprocess.Popen[str]

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)


@contextmanager
def serve(
    *options: str, endpoint: str = "local://", **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Run ``kv-client serve``, until the block ends at the latest.

    Args:
        options: Its options.
        endpoint: What it serves.
        environment: What it finds in its environment; no other ``KV_`` variables are there.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "kv_client", "--endpoint", endpoint, "serve", *options],
        env={name: value for name, value in os.environ.items() if not name.startswith("KV_")}
        | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def gateway(endpoint: str = "local://", **environment: str) -> Iterator[Gateway]:
    """Serve an endpoint on a free port until the block ends."""
    with serve("--port", "0", endpoint=endpoint, **environment) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith(f"serving {endpoint} at "), process.communicate()
        yield Gateway(line.rpartition(" ")[2].rstrip(), process)
        process.terminate()
        process.communicate(timeout=30)
