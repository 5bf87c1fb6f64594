"""A stand-in for Lambda's Runtime Interface Emulator, which answers as the test says."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Answer = tuple[int, str]


class Emulator(NamedTuple):
    """An emulator that listens."""

    url: str
    events: list[dict[str, Any]]


@contextmanager
def emulator(answer: Callable[[dict[str, Any]], Answer]) -> Iterator[Emulator]:
    """Answer each invocation with what ``answer`` makes of its event, until the block ends."""
    events: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            events.append(event)
            status, text = answer(event)
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Emulator(f"rie://127.0.0.1:{server.server_port}", events)
        finally:
            server.shutdown()


def responds(status: int = 200, body: str = "{}", **headers: str) -> Answer:
    """Return what the emulator answers where the function returned a response."""
    return 200, json.dumps({"statusCode": status, "headers": headers, "body": body})
