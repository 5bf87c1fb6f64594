"""HTTP servers that misbehave as the world does: each answers as a test tells it to."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Request(NamedTuple):
    """A request as it arrived; the names of its header fields are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Server:
    """What a test sees of a server.

    Attributes:
        url: Where it listens.
        requests: The requests that arrived.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self.ended = threading.Event()


Reply = Callable[["Handler", Request], None]


class Handler(BaseHTTPRequestHandler):
    """Hands each request to the server's next reply; the last one stays."""

    protocol_version = "HTTP/1.1"
    replies: list[Reply]
    seen: Server

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed:
            self._answer()
            # Nothing else is to handle the method.
            self.command = "DONE"
        return parsed

    def do_DONE(self) -> None:
        """Nothing is left to do."""

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        self.seen.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        try:
            reply(self, request)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


@contextmanager
def answering(*replies: Reply) -> Iterator[Server]:
    """Run a server on loopback that answers its first request with the first reply, and so on."""

    class Bound(Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Bound) as server:
        seen = Server(f"http://127.0.0.1:{server.server_port}")
        Bound.replies, Bound.seen = list(replies), seen
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield seen
        finally:
            seen.ended.set()
            server.shutdown()
            thread.join()


def answer(status: int, content: object = None, **headers: str) -> Reply:
    """Answer JSON; underscores in names of header fields stand for dashes."""

    def reply(handler: Handler, _: Request) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        _send(handler, status, fields, body)

    return reply


def success(content: object, status: int = 200, instance: str = "one") -> Reply:
    """Answer as a kv-store does."""
    return answer(status, content, KV_Engine="memory", KV_Instance=instance)


def failure(status: int, error: str, **headers: str) -> Reply:
    """Answer one of the contract's errors."""
    return answer(status, {"statusCode": status, "error": error, "message": "so it is"}, **headers)


def record(key: str = "name", value: Any = "ashish", version: int = 1) -> dict[str, Any]:
    """Return a record's fields."""
    moment = "2026-11-24T20:55:43.123Z"
    return {
        "key": key,
        "value": value,
        "version": version,
        "etag": f"etag-{version}",
        "created_at": moment,
        "updated_at": moment,
        "expires_at": None,
        "subscribed": False,
    }


def reset(handler: Handler, _: Request) -> None:
    """Reset the connection."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()
    # What is left open of the socket are the files around it.
    handler.rfile.close()


def silence(handler: Handler, _: Request) -> None:
    """Never answer."""
    handler.seen.ended.wait()
    handler.close_connection = True


def trickle(handler: Handler, _: Request) -> None:
    """Answer a byte at a time, without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nKV-Engine: memory\r\nContent-Length: 1000000\r\n\r\n")
    while not handler.seen.ended.wait(0.02):
        handler.wfile.write(b" ")
    handler.close_connection = True


def forward(url: str) -> Reply:
    """Pass requests on to another server, and its answers back."""

    def reply(handler: Handler, request: Request) -> None:
        _send(handler, *_ask(url, request))

    return reply


def forward_and_lose(url: str) -> Reply:
    """Pass requests on to another server, and reset the connection in place of an answer."""

    def reply(handler: Handler, request: Request) -> None:
        _ask(url, request)
        reset(handler, request)

    return reply


def _ask(url: str, request: Request) -> tuple[int, dict[str, str], bytes]:
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
        fields = {**request.headers, "connection": "close"}
        connection.request(request.method, request.target, request.body, fields)
        answered = connection.getresponse()
        return answered.status, dict(answered.getheaders()), answered.read()


def _send(handler: Handler, status: int, headers: dict[str, str], body: bytes) -> None:
    kept = {
        name: value
        for name, value in headers.items()
        if name.lower() not in ("connection", "content-length", "transfer-encoding")
    }
    handler.send_response(status)
    for name, value in kept.items():
        handler.send_header(name, value)
    if status >= 200 and status not in (204, 304):
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
