"""Serves an endpoint as plain HTTP on this machine, as API Gateway does in AWS."""

import ipaddress
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer, create_server
from waitress.task import ErrorTask, WSGITask

from kv_client.endpoints import (
    MAX_EVENT_BYTES,
    Endpoint,
    address_of,
    error_response,
    is_this_machine,
    send,
)
from kv_client.errors import (
    AccessDenied,
    EndpointError,
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
_MAX_HEAD_BYTES = 256 * 1024
_MAX_CONNECTIONS = 1000
_THREADS = 8
_LAST_ANSWERS = 5.0


class ListenError(Exception):
    """The gateway can't listen there; the message says why."""


def serve(
    endpoint: Endpoint, host: str, port: int, *, let_anyone_in: bool, ready: Callable[[str], None]
) -> None:
    """Serve an endpoint until SIGTERM, or SIGINT, which raises KeyboardInterrupt.

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
    address = listener.getsockname()
    if _is_at(endpoint, *address[:2]):
        listener.close()
        raise ListenError(
            f"the gateway would ask itself: {endpoint.url} is where it is to listen; "
            "--endpoint names the store behind it"
        )
    server = create_server(
        application(endpoint, for_this_machine=is_this_machine(address[0])),
        sockets=[listener],
        threads=1 if endpoint.serial else _THREADS,
        connection_limit=_MAX_CONNECTIONS,
        asyncore_use_poll=True,
        max_request_header_size=_MAX_HEAD_BYTES,
        max_request_body_size=MAX_EVENT_BYTES,
        ident=None,
        clear_untrusted_proxy_headers=True,
    )
    server.channel_class = _Channel
    name = f"[{host}]" if ":" in host else host
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        # SIGTERM is the end that is meant, SIGINT an interruption: waitress's run() hides which.
        with suppress(SystemExit):
            ready(f"http://{name}:{server.effective_port}")
            _run(server)
    finally:
        signal.signal(signal.SIGTERM, previous)
        server.asyncore.close_all(server._map)  # noqa: SLF001


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
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ListenError(f"can't listen on {host}, port {port}: {error.strerror}") from error
    return listener


def _is_at(endpoint: Endpoint, address: str, port: int) -> bool:
    """Tell whether an endpoint is what listens at an address and a port of this machine."""
    parts = urlsplit(endpoint.base)
    if parts.port != port or not parts.hostname:
        return False
    own = ipaddress.ip_address(address)
    with suppress(OSError):
        found = socket.getaddrinfo(address_of(parts.hostname), None, type=socket.SOCK_STREAM)
        reached = {ipaddress.ip_address(each[4][0]) for each in found}
        return own in reached or (own.is_unspecified and any(a.is_loopback for a in reached))
    return False


def _run(server: TcpWSGIServer) -> None:
    try:
        server.asyncore.loop(timeout=1, map=server._map, use_poll=True)  # noqa: SLF001
    finally:
        server.task_dispatcher.shutdown()
        _send_last_answers(server)


def _send_last_answers(server: TcpWSGIServer) -> None:
    """Send what was answered while the server was told to end."""
    deadline = time.monotonic() + _LAST_ANSWERS
    while time.monotonic() < deadline and any(
        channel.total_outbufs_len for channel in server.active_channels.values()
    ):
        server.asyncore.loop(timeout=0.1, map=server._map, use_poll=True, count=1)  # noqa: SLF001


def application(endpoint: Endpoint, *, for_this_machine: bool) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application that passes requests on to an endpoint.

    Args:
        endpoint: What answers them.
        for_this_machine: Whether only those are passed on that name this machine as their host.
    """

    def pass_on(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        try:
            if for_this_machine:
                _check_host(environ)
            _check_origin(environ)
            answer = _ask(endpoint, _request(endpoint, environ))
        except AccessDenied as error:
            answer = error_response(error)
        headers = [
            (name, value)
            for name, value in answer.headers.items()
            if name.lower() not in _NOT_PASSED_ON
        ]
        headers.append(("Content-Length", str(len(answer.body))))
        start_response(f"{answer.status} {_phrase(answer.status)}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    return pass_on


def _check_host(environ: dict[str, Any]) -> None:
    """Refuse a request to another host's name, which may be a page's own that now leads here.

    To the browser such a page and the gateway would be of one origin ("DNS rebinding").

    Raises:
        AccessDenied: The request names such a host.
    """
    name = environ.get("HTTP_HOST")
    if name is not None and not is_this_machine(_host_of(name)):
        raise AccessDenied(
            f"the gateway answers as localhost or by a loopback address, not as {name!r}; "
            "where it is to have another name, serve it elsewhere with --host and --let-anyone-in"
        )


def _host_of(authority: str) -> str:
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


def _check_origin(environ: dict[str, Any]) -> None:
    """Refuse a request that a browser sent for a page that is not the gateway's own.

    Such a page could write to the store, with the credentials of whoever serves it.

    Raises:
        AccessDenied: The request is one.
    """
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        foreign = environ.get("HTTP_SEC_FETCH_SITE") == "cross-site"
    else:
        foreign = origin.partition("://")[2] != environ.get("HTTP_HOST")
    if foreign:
        raise AccessDenied(
            "a page of another site asked for this; the gateway answers its own machine"
        )


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
    except EndpointError as error:
        return error_response(HandlerFailed(str(error)))
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


class _Task(WSGITask):
    """Keeps the connection after an answer without content, which waitress takes for endless."""

    def set_close_on_finish(self) -> None:
        if self.has_body or self.request.connection_close:
            super().set_close_on_finish()


class _Channel(HTTPChannel):
    """Closes a connection in stages: an answer may be on its way while the client still sends.

    To close at once would reset the connection, and the answer be lost (RFC 9112, section 9.6).
    """

    task_class = _Task
    error_task_class = _ErrorTask
    _lingers = False
    will_close: bool

    def handle_close(self) -> None:
        if self.will_close and not self._lingers:
            self._lingers = True
            # Else it would read no more. Waitress sets it again once the client falls silent.
            self.will_close = False
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
                return
        super().handle_close()

    def received(self, data: bytes) -> bool:
        return self._lingers or bool(super().received(data))


def _error_of(status: int, message: str) -> KVError:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return RequestTooLarge(f"the body is too large: Lambda carries {MAX_EVENT_BYTES} bytes")
    if status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        return RequestTooLarge(f"the head is too large: the gateway reads {_MAX_HEAD_BYTES} bytes")
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return InternalError("the gateway has a defect")
    return InvalidRequest(f"this is not HTTP as the gateway reads it: {message}")
