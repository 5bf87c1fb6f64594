"""A time limit for a whole command."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kv_client.errors import OutOfReach

# In case something, a destructor for one, swallowed the first expiry.
_AGAIN = 0.1


class _Expired(BaseException):
    """The time is over. Like KeyboardInterrupt it is no Exception, so that no handler keeps it."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise OutOfReach once the block has taken longer than that; None is no limit.

    The timer of the operating system also ends what no timeout of a socket does: an answer that
    trickles in. Where there is no such timer (on Windows, or off the main thread), the timeouts of
    the single requests remain.
    """
    here = threading.current_thread() is threading.main_thread()
    if seconds is None or not here or not hasattr(signal, "setitimer"):
        yield
        return

    def expire(*_: object) -> None:
        raise _Expired

    previous = signal.signal(signal.SIGALRM, expire)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _Expired:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise OutOfReach(f"not done within {seconds:g} seconds") from None
    finally:
        signal.signal(signal.SIGALRM, previous)
