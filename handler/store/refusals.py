"""What a store refuses, in words that are the same whichever engine says them."""

from handler.errors import (
    KeyExists,
    KeyNotFound,
    NotACounter,
    NotSubscribed,
    ResponseTooLarge,
    VersionMismatch,
)


def no_key(key: str) -> KeyNotFound:
    """Refuse what needs a key that is there."""
    return KeyNotFound(f"there is no key {key!r}")


def key_exists(key: str) -> KeyExists:
    """Refuse set of a key that is there."""
    return KeyExists(f"{key!r} is there already; put changes it")


def not_subscribed(key: str) -> NotSubscribed:
    """Refuse unsubs where nobody subscribed."""
    return NotSubscribed(f"{key!r} is not subscribed to")


def no_state(key: str) -> VersionMismatch:
    """Refuse If-Match on a key that is not there."""
    return VersionMismatch(f"If-Match names a state of {key!r}, which is not there")


def other_state(key: str, version: int | str) -> VersionMismatch:
    """Refuse If-Match on a state other than the one that is there."""
    return VersionMismatch(f"{key!r} is at version {version}, another than If-Match names")


def no_counter(key: str) -> NotACounter:
    """Refuse incr of what is no counter."""
    return NotACounter(f"the value of {key!r} is not a whole number of 64 bits")


def counter_at_its_end(key: str) -> NotACounter:
    """Refuse incr past 64 bits."""
    return NotACounter(f"{key!r} would leave the range of 64-bit numbers")


def no_room_in_answer() -> ResponseTooLarge:
    """Refuse a record in an answer that others fill."""
    return ResponseTooLarge("this record did not fit; ask for it alone")
