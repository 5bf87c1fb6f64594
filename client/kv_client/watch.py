"""Watching: the changes of subscribed keys, as they happen, without losing one."""

import os
import select
import subprocess
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, TextIO

from kv_client.errors import InvalidCursor, KVError
from kv_client.status import ExitStatus, exit_status

if TYPE_CHECKING:
    from kv_client.api import KVClient
    from kv_client.records import Change


def watch(
    client: "KVClient",
    keys: Collection[str],
    since: str,
    *,
    pause: Callable[[], None],
    tell: Callable[[str], None],
) -> Iterator["Change"]:
    """Yield changes for ever, each write once.

    Args:
        client: What asks the store.
        keys: The keys to report; none for all that are subscribed.
        since: The cursor to begin at.
        pause: Called when there is nothing new, and while the store is out of reach.
        tell: Called with what the watcher should know of: a store out of reach, or changes missed.
    """
    cursor: str | None = since
    seen: dict[str, str] = {}
    lost = False
    while True:
        try:
            changes, cursor = client.changes(cursor)
            if lost:
                tell("the store answers again")
                lost = False
        except InvalidCursor as error:
            tell(f"some changes may have been missed ({error.message}); going on from now")
            cursor = None
            continue
        except KVError as error:
            if exit_status(error) != ExitStatus.OUT_OF_REACH:
                raise
            if not lost:
                tell(f"{error.message}; trying on")
                lost = True
            changes = []
        for change in changes:
            # The store may report a write twice; its ETag tells.
            if (not keys or change.key in keys) and seen.get(change.key) != change.etag:
                seen[change.key] = change.etag
                yield change
        if not changes:
            pause()


def pause_on(stream: TextIO, seconds: float) -> None:
    """Wait, but no longer than the stream's reader is there.

    Raises:
        BrokenPipeError: The reader went away.
    """
    poll = select.poll()
    # Errors are reported without being asked for.
    poll.register(stream.fileno(), 0)
    if poll.poll(seconds * 1000):
        raise BrokenPipeError


def run_for(change: "Change", command: str) -> int:
    """Run a shell command for a change.

    Args:
        change: Given as JSON on stdin, and as ``KV_KEY``, ``KV_OP`` and ``KV_VERSION``.
        command: What the shell runs.

    Returns:
        Its exit code.
    """
    environment = {
        **os.environ,
        "KV_KEY": change.key,
        "KV_OP": change.op,
        "KV_VERSION": str(change.version),
    }
    # The command is the user's own, given to be run by a shell.
    done = subprocess.run(  # noqa: S602
        command, shell=True, input=change.text.encode() + b"\n", env=environment, check=False
    )
    return done.returncode
