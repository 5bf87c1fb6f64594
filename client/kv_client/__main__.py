"""The program: kv-client with the process's streams, its end turned into an exit code."""

import os
import sys
from io import TextIOWrapper

from kv_client.cli import run
from kv_client.context import Streams
from kv_client.status import ExitStatus


def main() -> None:
    """Run the process's command line and end the process."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Values are UTF-8, whatever the locale says; what was no UTF-8 stays recognisable.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    try:
        status = run(sys.argv[1:], Streams(sys.stdin, sys.stdout, sys.stderr))
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    except BrokenPipeError:
        # The reader has what it wanted. What is left in the buffer must not raise at exit again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = ExitStatus.OK
    sys.exit(status)


if __name__ == "__main__":
    main()
