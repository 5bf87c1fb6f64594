"""Cursors: a position in a listing, sealed so that only one that was given out is taken back."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

from handler.errors import InvalidCursor

_SEAL_BYTES = 8
# A letter, so that no command line takes a cursor for an option.
_FIRST = "c"


class Cursors:
    """Makes and opens the cursors of one store.

    Args:
        secret: What seals them; a cursor opens only where the same secret does (64 bytes at most).
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, listing: str, position: str) -> str:
        """Return the cursor for a position in a listing; the text is safe in a URL."""
        body = position.encode()
        seal = blake2b(
            listing.encode(errors="surrogatepass") + b"\0" + body,
            key=self._secret,
            digest_size=_SEAL_BYTES,
        )
        text = urlsafe_b64encode(seal.digest() + body).rstrip(b"=").decode()
        return _FIRST + text

    def open(self, listing: str, cursor: str) -> str:
        """Return the position that ``cursor`` was made for.

        Raises:
            InvalidCursor: No answer gave this cursor out for this listing.
        """
        try:
            text = cursor.removeprefix(_FIRST)
            padding = "=" * (-len(text) % 4)
            position = urlsafe_b64decode(text + padding)[_SEAL_BYTES:].decode()
        except ValueError:
            position = ""
        # Comparing whole cursors also refuses other spellings of the same bytes.
        if cursor != self.seal(listing, position):
            raise InvalidCursor("no answer of this store gave out this cursor for this listing")
        return position
