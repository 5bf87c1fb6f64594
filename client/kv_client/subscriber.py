"""Who can be told of changes: SNS's protocols, as far as kv-client names them."""

import re
from typing import NamedTuple


class Protocol(NamedTuple):
    """A way to tell somebody.

    Attributes:
        metavar: What stands for an endpoint in the usage.
        what: What an endpoint is.
        pattern: What it looks like.
    """

    metavar: str
    what: str
    pattern: str


PROTOCOLS = {
    "email": Protocol("A", "an e-mail address", r"[^@\s]+@[^@\s]+"),
    "sqs": Protocol("ARN", "the ARN of a queue", r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:\S+"),
    "https": Protocol("URL", "an https:// URL", r"https://\S+"),
    "lambda": Protocol(
        "ARN",
        "the ARN of a function",
        r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:\S+",
    ),
}


class Subscriber(NamedTuple):
    """Who is told.

    Attributes:
        protocol: How: one of PROTOCOLS.
        endpoint: Where: an address, a URL or an ARN.
    """

    protocol: str
    endpoint: str

    @classmethod
    def parse(cls, protocol: str, endpoint: str) -> "Subscriber":
        """Return a subscriber. Raises ValueError where the protocol has no such endpoints."""
        known = PROTOCOLS[protocol]
        if not re.fullmatch(known.pattern, endpoint):
            raise ValueError(f"{endpoint!r} is not {known.what}")
        return cls(protocol, endpoint)
