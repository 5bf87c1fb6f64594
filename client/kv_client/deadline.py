"""A time limit for a whole command."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kv_client.errors import OutOfReach


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise OutOfReach in the block once it has taken longer than that; None is no limit.

    The timer of the operating system also ends what no timeout of a socket does: an answer that
    trickles in. Where there is no such timer (on Windows, or off the main thread), the timeouts of
    the single requests remain.
    """
    here = threading.current_thread() is threading.main_thread()
    if seconds is None or not here or not hasattr(signal, "setitimer"):
        yield
        return

    def expire(*_: object) -> None:
        raise OutOfReach(f"not done within {seconds:g} seconds")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
