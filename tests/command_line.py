"""kv-client as tests run it: in this process with streams of their own, or as a process."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from kv_client.cli import run
from kv_client.context import Streams

PROGRAM = (sys.executable, "-m", "kv_client")


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    status: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def kv(
    *words: str,
    endpoint: str | None = "local://",
    stdin: str | bytes = b"",
    stderr: io.StringIO | None = None,
) -> Ended:
    """Run a command in this process.

    Args:
        words: The command line.
        endpoint: The store; None to name none.
        stdin: What the command reads.
        stderr: Where it writes diagnostics; by default a stream that is no terminal.
    """
    content = stdin.encode() if isinstance(stdin, str) else stdin
    before = () if endpoint is None else ("--endpoint", endpoint)
    out, err = io.StringIO(newline=""), stderr or io.StringIO(newline="")
    with io.TextIOWrapper(
        io.BytesIO(content), encoding="utf-8", errors="surrogateescape", newline="\n"
    ) as source:
        status = run([*before, *words], Streams(source, out, err))
    return Ended(int(status), out.getvalue(), err.getvalue())


def process(
    *words: str | bytes, endpoint: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a process of its own."""
    return subprocess.run(
        [*PROGRAM, "--endpoint", endpoint, *words],
        input=stdin,
        capture_output=True,
        env=os.environ | environment,
        check=False,
        timeout=60,
    )


def start(
    *words: str, endpoint: str, stdin: int = subprocess.DEVNULL, **environment: str
) -> subprocess.Popen[str]:
    """Start a command as a process of its own."""
    return subprocess.Popen(
        [*PROGRAM, "--endpoint", endpoint, *words],
        env=os.environ | environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def written(path: Path, content: str | bytes) -> str:
    """Write a file and return its name as the command line takes it."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)
