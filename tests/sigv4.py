"""AWS Signature Version 4, recomputed from its specification, independently of botocore.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.servers import Request

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


class Claim(NamedTuple):
    """What an Authorization field says."""

    key_id: str
    date: str
    region: str
    service: str
    signed_headers: list[str]
    signature: str


def claim(authorization: str) -> Claim:
    """Return the parts of an Authorization field."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
        r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
        authorization,
    )
    assert found, authorization
    key_id, date, region, service, signed, signature = found.groups()
    return Claim(key_id, date, region, service, signed.split(";"), signature)


def signature(request: Request, secret: str, said: Claim) -> str:
    """Return the signature that a request must carry.

    Args:
        request: The request as it arrived.
        secret: The secret access key.
        said: What the request's Authorization says.
    """
    parts = urlsplit(f"http://host{request.target}")
    # Every service but S3 encodes the path as it was sent once more.
    path = "/".join(_encoded(segment) for segment in parts.path.split("/"))
    query = sorted(
        (_encoded(name), _encoded(value))
        for name, value in parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True)
    )
    fields = "".join(
        f"{name}:{' '.join(request.headers[name].split())}\n" for name in said.signed_headers
    )
    canonical = "\n".join(
        (
            request.method,
            path or "/",
            "&".join(f"{name}={value}" for name, value in query),
            fields,
            ";".join(said.signed_headers),
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    scope = f"{said.date}/{said.region}/{said.service}/aws4_request"
    to_sign = "\n".join(
        (
            "AWS4-HMAC-SHA256",
            request.headers["x-amz-date"],
            scope,
            hashlib.sha256(canonical.encode()).hexdigest(),
        )
    )
    key = f"AWS4{secret}".encode()
    for part in (said.date, said.region, said.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest()


def _encoded(text: str) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
