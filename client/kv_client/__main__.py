"""The program: kv-client with the process's streams, its end turned into an exit code."""

import os
import sys
from io import TextIOWrapper

from kv_client.status import ExitStatus


def main() -> None:
    """Run the process's command line and end the process."""
    _open_streams()
    try:
        # Here, since an interrupt may come while the rest of the program is read.
        from kv_client.cli import run
        from kv_client.context import Streams

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
        sys.stderr.write(f"kv-client: can't write the output: {error.strerror or error}\n")
        _drop_output()
        status = ExitStatus.DEFECT
    sys.exit(status)


def _open_streams() -> None:
    """Make the streams UTF-8, whatever the locale says; one that is closed is replaced.

    What is written to a stdout that was closed fails, as on a full disk: it reaches nobody.
    """
    for name, mode, access in (
        ("stdin", "r", os.O_RDONLY),
        ("stdout", "w", os.O_RDONLY),
        ("stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, access), mode, encoding="utf-8"))
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # What was no UTF-8 stays recognisable.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")


def _drop_output() -> None:
    """Keep what is left in the buffer from raising at exit again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
