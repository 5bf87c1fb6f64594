"""The rules for keys, on one page and free of other modules: kv-client applies them too."""

import re

from handler.errors import InvalidKey

MAX_KEY_BYTES = 1024

_FORBIDDEN = re.compile(r"[%?#\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def check_key(key: str) -> str:
    """Return ``key`` if every gateway carries it unchanged.

    Raises:
        InvalidKey: The key breaks a rule; the message says which one.
    """
    if not key:
        raise InvalidKey("a key is 1 to 1024 bytes of text; this one is empty")
    if found := _FORBIDDEN.search(key):
        raise InvalidKey(
            "a key holds none of % ? # \\, no control character and no lone surrogate; "
            f"this one holds {_name(found[0])}"
        )
    if key != key.strip():
        raise InvalidKey("a key has no white space at either end")
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        raise InvalidKey("a key is segments parted by /, none of them empty, . or ..")
    if (size := len(key.encode())) > MAX_KEY_BYTES:
        raise InvalidKey(f"a key is 1 to 1024 bytes of UTF-8; this one has {size}")
    return key


def _name(character: str) -> str:
    return character if character in "%?#\\" else f"U+{ord(character):04X}"
