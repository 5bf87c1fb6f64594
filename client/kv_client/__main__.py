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
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    except BrokenPipeError:
        # The reader has what it wanted.
        _drop_output()
        status = ExitStatus.OK
    except OSError as error:
        # A full disk, most likely.
        sys.stderr.write(f"kv-client: {error}\n")
        _drop_output()
        status = ExitStatus.DEFECT
    sys.exit(status)


def _drop_output() -> None:
    """Keep what is left in the buffer from raising at exit again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
