"""Waiting for what a store or a process comes to by itself."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(
    ask: Callable[[], Answer], is_it: Callable[[Answer], bool], seconds: float = 10
) -> Answer:
    """Ask again and again, for a bounded time, and return the first answer that is it."""
    deadline = time.monotonic() + seconds
    while not is_it(answer := ask()):
        assert time.monotonic() < deadline, f"after {seconds} seconds it is still {answer!r}"
        time.sleep(0.02)
    return answer
