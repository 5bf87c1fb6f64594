"""Endpoint URLs: each becomes one requests.Session, whatever carries the requests behind it."""

import io
import ipaddress
import json
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict

from handler import __version__
from handler.errors import body_of
from kv_client import config
from kv_client.errors import (
    AccessDenied,
    EndpointError,
    HandlerFailed,
    HandlerTimeout,
    KVError,
    RequestTooLarge,
)
from kv_client.events import HTTPResponse, event_of, response_of

if TYPE_CHECKING:
    from kv_client.aws import Function

# What Lambda takes in one invocation: "6 MB", https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_EVENT_BYTES = 6 * 1024 * 1024

_SCHEMES = "http://…, https://…, rie://HOST:PORT, lambda://FUNCTION, stack://NAME or local://"
# The service that signs for a host's second label, as AWS names its HTTP endpoints.
_SIGNING_SERVICES = {"execute-api": "execute-api", "lambda-url": "lambda"}


class Endpoint(NamedTuple):
    """A way to the store.

    Attributes:
        url: The endpoint as it was named, but for a slash at its end.
        base: What a request's path is appended to.
        session: What sends the requests.
        serial: Whether it takes one request at a time.
    """

    url: str
    base: str
    session: requests.Session
    serial: bool


def open_endpoint(
    url: str, *, region: str | None = None, aws_profile: str | None = None
) -> Endpoint:
    """Open the endpoint that a URL names.

    Args:
        url: The endpoint.
        region: The AWS region; None for that of the environment or the AWS profile.
        aws_profile: The profile of the AWS configuration; None for the default.

    Raises:
        EndpointError: There is no such kind of endpoint, or its URL is not complete.
        AccessDenied: AWS, asked where a stack's endpoint is, does not know the caller; or the
            handler of ``local://`` has no credentials for its table.
        OutOfReach: AWS did not answer that.
    """
    scheme, _, name = url.partition("://")
    session = _session()
    if scheme == "stack" and name:
        from kv_client.aws import AWS

        aws = AWS(region, aws_profile)
        base = aws.stack_endpoint(name).rstrip("/")
        host = urlsplit(base).hostname or ""
        session.auth = aws.signer("execute-api", host)
        _reach(session, base)
        return Endpoint(url, base, session, serial=False)
    if scheme == "lambda" and name:
        from kv_client.aws import AWS

        session.mount("lambda://", LambdaAdapter(AWS(region, aws_profile).function(name)))
        return Endpoint(url, "lambda://function", session, serial=False)
    return _open_address(url, session, region, aws_profile)


def _open_address(
    url: str, session: requests.Session, region: str | None, aws_profile: str | None
) -> Endpoint:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise EndpointError(f"endpoint {url!r} is not a URL: {error}") from error
    if parts.query or parts.fragment or parts.username is not None:
        raise EndpointError(f"endpoint {url!r} is more than scheme, host, port and path")
    base = url.rstrip("/")
    match parts.scheme, parts.hostname:
        case "http" | "https", str() as host:
            second_label = host.partition(".")[2].partition(".")[0]
            if service := _SIGNING_SERVICES.get(second_label):
                from kv_client.aws import AWS

                session.auth = AWS(region, aws_profile).signer(service, host)
            _reach(session, base)
            return Endpoint(base, base, session, serial=False)
        case "rie", str() as host if port and parts.path in ("", "/"):
            session.mount("rie://", EmulatorAdapter(host, port))
            return Endpoint(base, base, session, serial=True)
        case "local", None if parts.path in ("", "/"):
            session.mount("local://", LocalAdapter())
            return Endpoint(url, "local://handler", session, serial=True)
    raise EndpointError(f"endpoint {url!r} is none of {_SCHEMES}")


def send(
    session: requests.Session, request: requests.PreparedRequest, timeout: float
) -> requests.Response:
    """Send a request as the environment says: through its proxies, with its certificates.

    No redirect is followed: neither credentials nor a write belong to another host.
    """
    settings = session.merge_environment_settings(request.url, {}, None, None, None)
    return session.send(request, timeout=timeout, allow_redirects=False, **settings)


def _session() -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = f"kv-client/{__version__}"
    # Without an authentication of its own, requests would send the credentials of a .netrc.
    session.auth = _unsigned
    return session


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def is_this_machine(host: str) -> bool:
    """Tell whether a host is a loopback address, or a name that can only stand for one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def address_of(host: str) -> str:
    """Return where a host is looked up: a name under ``localhost`` is this machine's.

    So says RFC 6761, section 6.3, which not every resolver knows.
    """
    return "127.0.0.1" if host.endswith(".localhost") else host


def _reach(session: requests.Session, base: str) -> None:
    if is_this_machine(urlsplit(base).hostname or ""):
        session.mount(base, LoopbackAdapter())


class LoopbackAdapter(HTTPAdapter):
    """Carries requests to this machine: names under ``localhost`` are where emulations of AWS are.

    A proxy would look for such a host on its own machine.
    """

    def add_headers(self, request: requests.PreparedRequest, **_: Any) -> None:
        request.headers.setdefault("Host", urlsplit(request.url or "").netloc)

    def build_connection_pool_key_attributes(self, *arguments: Any) -> Any:
        host, pool = super().build_connection_pool_key_attributes(*arguments)
        # A certificate names the host, and is left to be looked up by it.
        if host["scheme"] == "http":
            host["host"] = address_of(host["host"])
        return host, pool

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> Any:
        return super().send(request, *arguments, **{**options, "proxies": None})


class FunctionAdapter(BaseAdapter):
    """Carries requests to a function as events; how it is invoked is the subclass's to say."""

    @abstractmethod
    def invoke(self, event: dict[str, Any], timeout: float) -> Any:
        """Return the function's result for an event.

        Args:
            event: The event.
            timeout: Seconds to wait for it, where how it is invoked leaves that to the caller.

        Raises:
            KVError: The function did not answer; the error says what a gateway would.
        """

    def send(  # noqa: PLR0917 (the form is that of requests' adapters)
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002
        timeout: Any = None,
        verify: bool | str = True,  # noqa: ARG002, FBT001, FBT002
        cert: Any = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        target = "/" + (request.url or "").partition("://")[2].partition("/")[2]
        body = request.body or b""
        data = body.encode() if isinstance(body, str) else body
        try:
            event = event_of(request.method or "GET", target, request.headers, data)
            answer = response_of(self.invoke(event, timeout))
        except KVError as error:
            answer = error_response(error)
        return _requests_response(request, answer)

    def close(self) -> None:
        """Nothing is kept open."""


class LocalAdapter(FunctionAdapter):
    """Calls the handler in this very process, one request at a time as Lambda does.

    Raises:
        EndpointError: The environment tells the handler to run in a way that it can't.
        AccessDenied: There are no credentials for its table.
    """

    _one_at_a_time = threading.Lock()

    def __init__(self) -> None:
        super().__init__()
        from handler.settings import SettingsError

        try:
            from handler.app import lambda_handler
        except SettingsError as error:
            from botocore.exceptions import NoCredentialsError

            if isinstance(error.__cause__, NoCredentialsError):
                raise AccessDenied(str(error)) from error
            raise EndpointError(str(error)) from error
        self._handler = lambda_handler

    def invoke(self, event: dict[str, Any], timeout: float) -> Any:  # noqa: ARG002
        _sized(event)
        with self._one_at_a_time:
            return self._handler(event, None)


class LambdaAdapter(FunctionAdapter):
    """Calls a function through Lambda's Invoke API.

    Args:
        function: The function.
    """

    def __init__(self, function: "Function") -> None:
        super().__init__()
        self._function = function

    def invoke(self, event: dict[str, Any], timeout: float) -> Any:  # noqa: ARG002
        return self._function.invoke(_sized(event))


class EmulatorAdapter(FunctionAdapter):
    """Calls a function under Lambda's Runtime Interface Emulator.

    A second request while one runs crashes the emulator, and what the function held is gone. So
    whoever calls it from this machine holds a lock meanwhile.

    Args:
        host: Where the emulator listens.
        port: And its port.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        from filelock import FileLock

        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._url = f"http://{authority}/2015-03-31/functions/function/invocations"
        self._session = requests.Session()
        self._session.trust_env = False
        # By whichever of its names, this machine's emulator has one lock.
        place = "localhost" if is_this_machine(host) else host.replace(":", "-")
        self._lock = FileLock(config.lock_folder() / f"rie-{place}-{port}.lock")

    def invoke(self, event: dict[str, Any], timeout: float) -> Any:
        data = _sized(event)
        deadline = time.monotonic() + timeout
        try:
            with self._lock.acquire(timeout=timeout):
                left = max(0.001, deadline - time.monotonic())
                response = self._session.post(
                    self._url, data=data, timeout=left, allow_redirects=False
                )
        except TimeoutError as error:
            raise requests.Timeout("the emulator is busy with others' requests") from error
        # The emulator answers what went wrong in the function with 200 and a text.
        if response.text.startswith("Task timed out"):
            raise HandlerTimeout("the function took longer than its timeout")
        if response.status_code != requests.codes.ok:
            raise HandlerFailed("the function ended before it answered; its log tells more")
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            raise HandlerFailed("the emulator answered something other than JSON") from error

    def close(self) -> None:
        self._session.close()


def error_response(error: KVError) -> HTTPResponse:
    """Return the contract's answer for an error met on the way to the handler."""
    body = json.dumps(body_of(error)).encode()
    return HTTPResponse(error.status, {"Content-Type": "application/json", **error.headers}, body)


def _sized(event: dict[str, Any]) -> bytes:
    """Return the event as JSON. Raises RequestTooLarge where Lambda would not take it."""
    text = json.dumps(event, ensure_ascii=False).encode()
    if len(text) > MAX_EVENT_BYTES:
        raise RequestTooLarge(
            f"the request is {len(text)} bytes as an event; Lambda carries {MAX_EVENT_BYTES}"
        )
    return text


def _requests_response(
    request: requests.PreparedRequest, answer: HTTPResponse
) -> requests.Response:
    response = requests.Response()
    response.request = request
    response.url = request.url or ""
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    response.encoding = "utf-8"
    response.raw = io.BytesIO(answer.body)
    return response
