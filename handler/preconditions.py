"""If-Match and If-None-Match, as in RFC 9110, sections 13.1.1 and 13.1.2."""

import re

from handler.errors import InvalidRequest

Etags = tuple[str, ...]
# No ETag is taken for it, not even "*": none holds a double quote.
ANY = '"'

_ETAG = r'(W/)?"([^"]*)"'
_ETAGS = re.compile(rf"\s*{_ETAG}(?:\s*,\s*{_ETAG})*\s*")


def if_match(text: str | None) -> Etags | None:
    """Return the ETags that If-Match names; a weak one matches nothing, so it is left out.

    Raises:
        InvalidRequest: The field holds neither ``*`` nor ETags in double quotes.
    """
    return _etags("If-Match", text, weak=False)


def if_none_match(text: str | None) -> Etags | None:
    """Return the ETags that If-None-Match names; a weak one matches too.

    Raises:
        InvalidRequest: The field holds neither ``*`` nor ETags in double quotes.
    """
    return _etags("If-None-Match", text, weak=True)


def _etags(field: str, text: str | None, *, weak: bool) -> Etags | None:
    if text is None:
        return None
    if text.strip() == "*":
        return (ANY,)
    if not _ETAGS.fullmatch(text):
        raise InvalidRequest(f'{field} takes * or an ETag in double quotes, such as "abc-1"')
    return tuple(tag for mark, tag in re.findall(_ETAG, text) if weak or not mark)


def matches(etags: Etags, etag: str) -> bool:
    """Tell whether a precondition names the state that has this ETag."""
    return ANY in etags or etag in etags
