"""Who can be told of changes: SNS's protocols, as far as kv-client names them."""

import re
from typing import NamedTuple

# For each protocol, what stands for an endpoint in the usage, and what an endpoint looks like.
PROTOCOLS = {
    "email": ("A", r"[^@\s]+@[^@\s]+"),
    "sqs": ("ARN", r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:\S+"),
    "https": ("URL", r"https://\S+"),
    "lambda": ("ARN", r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:\S+"),
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
        metavar, pattern = PROTOCOLS[protocol]
        if not re.fullmatch(pattern, endpoint):
            raise ValueError(f"{endpoint!r} is no {metavar} for {protocol}")
        return cls(protocol, endpoint)
