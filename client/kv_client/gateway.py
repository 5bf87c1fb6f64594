"""Serves an endpoint as plain HTTP on this machine, as API Gateway does in AWS."""

import ipaddress
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import requests
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer, create_server
from waitress.task import ErrorTask

from kv_client.endpoints import MAX_EVENT_BYTES, Endpoint, error_response, send
from kv_client.errors import (
    AccessDenied,
    HandlerFailed,
    HandlerTimeout,
    InternalError,
    InvalidRequest,
    KVError,
    RequestTooLarge,
)
from kv_client.events import HTTPResponse

# API Gateway ends a request after 30 seconds:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
_TIMEOUT = 30.0
# They belong to one connection, not to the message (RFC 9110, section 7.6.1), or are written anew.
_NOT_PASSED_ON = {
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_MAX_CONNECTIONS = 1000
_THREADS = 8
_LAST_ANSWERS = 5.0


class ListenError(Exception):
    """The gateway can't listen there; the message says why."""


def serve(
    endpoint: Endpoint, host: str, port: int, *, let_anyone_in: bool, ready: Callable[[str], None]
) -> None:
    """Serve an endpoint until SIGINT or SIGTERM.

    Args:
        endpoint: What answers the requests.
        host: The name or address to listen on.
        port: The port; 0 for any that is free.
        let_anyone_in: Whether the host may be one that other machines reach.
        ready: Called with the gateway's URL once it listens.

    Raises:
        ListenError: It can't listen there, or must not.
    """
    # Waitress would warn of each request that waits its turn.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    listener = _listen(host, port, let_anyone_in=let_anyone_in)
    server = create_server(
        application(endpoint),
        sockets=[listener],
        threads=1 if endpoint.serial else _THREADS,
        connection_limit=_MAX_CONNECTIONS,
        asyncore_use_poll=True,
        max_request_body_size=MAX_EVENT_BYTES,
        ident=None,
        clear_untrusted_proxy_headers=True,
    )
    server.channel_class = _Channel
    name = f"[{host}]" if ":" in host else host
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        ready(f"http://{name}:{server.effective_port}")
        server.run()
        _send_last_answers(server)
    finally:
        signal.signal(signal.SIGTERM, previous)
        server.close()


def _listen(host: str, port: int, *, let_anyone_in: bool) -> socket.socket:
    try:
        # The port is left to bind: getaddrinfo would take 65536 for 0.
        family, kind, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
        if not let_anyone_in and not ipaddress.ip_address(address[0]).is_loopback:
            raise ListenError(
                f"{host} is reachable from other machines, and the gateway asks nobody who they "
                "are: with --let-anyone-in it listens there all the same"
            )
        listener = socket.socket(family, kind)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address[0], port, *address[2:]))
        except (OSError, OverflowError):
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        raise ListenError(f"can't listen on {host}, port {port}: {error}") from error
    return listener


def _send_last_answers(server: TcpWSGIServer) -> None:
    """Send what was answered while the server was told to end."""
    deadline = time.monotonic() + _LAST_ANSWERS
    while time.monotonic() < deadline and any(
        channel.total_outbufs_len for channel in server.active_channels.values()
    ):
        server.asyncore.loop(timeout=0.1, map=server._map, use_poll=True, count=1)  # noqa: SLF001


def application(endpoint: Endpoint) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application that passes requests on to an endpoint."""

    def pass_on(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if _is_for_another_site(environ):
            refusal = "a page of another site asked for this; the gateway answers its own machine"
            answer = error_response(AccessDenied(refusal))
        else:
            answer = _ask(endpoint, _request(endpoint, environ))
        headers = [
            (name, value)
            for name, value in answer.headers.items()
            if name.lower() not in _NOT_PASSED_ON
        ]
        headers.append(("Content-Length", str(len(answer.body))))
        start_response(f"{answer.status} {_phrase(answer.status)}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    return pass_on


def _is_for_another_site(environ: dict[str, Any]) -> bool:
    """Tell whether a browser sent the request for a page that is not the gateway's own.

    Such a page could write to the store, with the credentials of whoever serves it.
    """
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return environ.get("HTTP_SEC_FETCH_SITE") == "cross-site"
    return bool(origin.partition("://")[2] != environ.get("HTTP_HOST"))


def _request(endpoint: Endpoint, environ: dict[str, Any]) -> requests.PreparedRequest:
    """Return the request as it came, the path still encoded."""
    headers = {
        name[5:].replace("_", "-").title(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if "CONTENT_TYPE" in environ:
        headers["Content-Type"] = environ["CONTENT_TYPE"]
    request = requests.PreparedRequest()
    request.prepare_method(environ["REQUEST_METHOD"])
    request.url = endpoint.base + _target(environ["REQUEST_URI"])
    request.prepare_headers(
        {name: value for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON}
    )
    request.prepare_body(environ["wsgi.input"].read(), None)
    return request


def _target(request_uri: str) -> str:
    """Return path and query, also where a client named the whole URL (RFC 9112, section 3.2.2)."""
    if request_uri.startswith("/"):
        return request_uri
    return "/" + request_uri.partition("://")[2].partition("/")[2]


def _ask(endpoint: Endpoint, request: requests.PreparedRequest) -> HTTPResponse:
    try:
        request.prepare_auth(endpoint.session.auth)
        response = send(endpoint.session, request, _TIMEOUT)
    except requests.Timeout:
        return error_response(HandlerTimeout(f"no answer within {_TIMEOUT:.0f} seconds"))
    except KVError as error:
        return error_response(error)
    except requests.RequestException:
        return error_response(HandlerFailed("the endpoint behind this gateway is out of reach"))
    return HTTPResponse(response.status_code, dict(response.headers), response.content)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class _ErrorTask(ErrorTask):
    """Answers what is no HTTP request, or too large a one, in the contract's form."""

    def execute(self) -> None:
        answer = error_response(_error_of(self.request.error.code, self.request.error.body))
        self.status = f"{answer.status} {_phrase(answer.status)}"
        self.response_headers.extend(answer.headers.items())
        self.set_close_on_finish()
        self.content_length = len(answer.body)
        self.write(answer.body)


class _Channel(HTTPChannel):
    error_task_class = _ErrorTask


def _error_of(status: int, message: str) -> KVError:
    if status in (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE):
        return RequestTooLarge(f"the request is larger than Lambda carries ({message})")
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return InternalError("the gateway has a defect")
    return InvalidRequest(f"this is not HTTP as the gateway reads it: {message}")
