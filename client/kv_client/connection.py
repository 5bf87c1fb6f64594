"""Sends requests to an endpoint: with retries where they are safe, and errors as exceptions."""

import json
import random
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import requests
from urllib3.exceptions import LocationValueError, NewConnectionError

from kv_client.endpoints import Endpoint, send
from kv_client.errors import (
    AccessDenied,
    BatchFailed,
    EndpointError,
    EngineUnavailable,
    InvalidRequest,
    KVError,
    MethodNotAllowed,
    OutOfReach,
    RequestTooLarge,
    RouteNotFound,
    StoreFull,
    Throttled,
    named,
)

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 5.0
_WORTH_ANOTHER_TRY = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)


# What a gateway on the way refuses by itself.
_GATEWAY_REFUSALS: dict[int, type[KVError]] = {
    400: InvalidRequest,
    413: RequestTooLarge,
    507: StoreFull,
}


class Answer(NamedTuple):
    """A success.

    Attributes:
        status: The HTTP status.
        text: The body; empty where there is none.
    """

    status: int
    text: str


class Connection:
    """Sends requests to one endpoint.

    Args:
        endpoint: Where they go.
        timeout: Seconds that one request may take, its retries included.
        retries: How often a request is sent again.

    Attributes:
        instance: The memory engine's instance that answered last; empty until then.
    """

    def __init__(self, endpoint: Endpoint, timeout: float, retries: int) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self.retries = retries
        self.instance = ""
        self._closed = False

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        repeatable: bool = True,
        done_if: type[KVError] | None = None,
    ) -> Answer:
        """Send a request and return what it answered.

        Args:
            method: The HTTP method.
            path: The path, percent-encoded.
            query: Parameters, not encoded.
            headers: Header fields beside the usual ones.
            body: JSON text.
            repeatable: Whether it may be sent again when nobody knows if it was carried out.
            done_if: The error that, met by a retry, tells that an earlier try was carried out.

        Raises:
            KVError: What the store, or something on the way to it, answered in place of a success.
            RuntimeError: The connection was closed.
        """
        if self._closed:
            # The session would open it again.
            raise RuntimeError("the client is closed")
        url = self.endpoint.base + path
        if query:
            url += "?" + _query(query)
        request = requests.Request(method, url, headers=dict(headers or {}))
        if body is not None:
            request.headers["Content-Type"] = "application/json"
            request.data = body.encode()
        deadline = time.monotonic() + self.timeout
        perhaps_done = False
        for attempt in range(self.retries + 1):
            error: KVError
            try:
                response = self._exchange(request, deadline)
            except requests.RequestException as failure:
                error = self._out_of_reach(failure)
                not_done = _never_sent(failure)
                again = repeatable or not_done
                wait = 0.0
            else:
                self.instance = response.headers.get("KV-Instance") or self.instance
                if response.ok and _is_from_a_store(response):
                    return Answer(response.status_code, response.text)
                error = self._error(response)
                if perhaps_done and done_if and isinstance(error, done_if):
                    return Answer(HTTPStatus.NO_CONTENT, "")
                not_done = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
                again = response.status_code in _WORTH_ANOTHER_TRY and (repeatable or not_done)
                wait = _retry_after(response)
            perhaps_done = perhaps_done or not not_done
            wait = max(wait, back_off(attempt))
            if not again or attempt == self.retries or time.monotonic() + wait >= deadline:
                raise error
            time.sleep(wait)
        raise AssertionError

    def close(self) -> None:
        self._closed = True
        self.endpoint.session.close()

    def _exchange(self, request: requests.Request, deadline: float) -> requests.Response:
        session = self.endpoint.session
        timeout = max(0.001, deadline - time.monotonic())
        try:
            response = send(session, session.prepare_request(request), timeout)
        except (requests.exceptions.InvalidURL, LocationValueError) as error:
            raise EndpointError(f"{self.endpoint.url} is no address: {error}") from error
        except (requests.exceptions.InvalidHeader, UnicodeEncodeError) as error:
            raise InvalidRequest(f"HTTP can't carry this: {error}") from error
        response.encoding = "utf-8"
        return response

    def _out_of_reach(self, failure: requests.RequestException) -> OutOfReach:
        where = self.endpoint.url
        if isinstance(failure, requests.Timeout):
            return OutOfReach(f"{where} did not answer in time")
        hint = "; kv-client serve starts a store" if where.startswith("http://127.0.0.1:") else ""
        return OutOfReach(f"{where} is out of reach: {_cause(failure)}{hint}")

    def _error(self, response: requests.Response) -> KVError:
        try:
            content = json.loads(response.text)
        except ValueError:
            content = None
        message = content.get("message") if isinstance(content, dict) else None
        if isinstance(content, dict) and (error := named(str(content.get("error")))):
            if error in (RouteNotFound, MethodNotAllowed) and urlsplit(self.endpoint.base).path:
                message = f"{message}; the endpoint is a path of that server: {self.endpoint.url}"
            return _restored(error, str(message), content, response)
        return self._foreign_error(response, message)

    def _foreign_error(self, response: requests.Response, message: Any) -> KVError:
        """Return the error for an answer that is not a kv-store's own."""
        status = response.status_code
        what = f"{self.endpoint.url} answered {status} {response.reason or ''}".rstrip()
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return AccessDenied(f"{what}: {message or 'the credentials do not allow it'}")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled(f"{what}: {message or 'too many requests'}")
        if location := response.headers.get("Location"):
            return OutOfReach(f"{what}, to {location}: if that is the store, make it the endpoint")
        if error := _GATEWAY_REFUSALS.get(status):
            return error(f"{what}: {message or 'it refused the request'}")
        return OutOfReach(f"{what}: {message or 'is it a kv-store?'}")


def _restored(
    error: type[KVError], message: str, content: dict[str, Any], response: requests.Response
) -> KVError:
    if error is BatchFailed:
        return BatchFailed(message, content.get("results"))
    if error is MethodNotAllowed:
        return MethodNotAllowed(message, response.headers.get("Allow", ""))
    if error is EngineUnavailable:
        return EngineUnavailable(message, int(_retry_after(response)))
    return error(message)


def _is_from_a_store(response: requests.Response) -> bool:
    """Tell a store's success from that of another server, or of a function that failed."""
    if "KV-Engine" in response.headers or response.status_code == HTTPStatus.NO_CONTENT:
        return True
    # A gateway of another make may not pass our header on. Under SAM a failure comes as 200.
    return response.text.startswith("{") and '"errorType"' not in response.text


def _query(parameters: Mapping[str, str]) -> str:
    try:
        return urlencode(parameters, quote_via=quote)
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"the request is not UTF-8: {error}") from error


def back_off(attempt: int) -> float:
    """Return seconds to wait, of random length so that clients do not come back all at once."""
    longest: float = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
    return longest * random.uniform(0.5, 1)  # noqa: S311


def _never_sent(failure: requests.RequestException) -> bool:
    reason = getattr(failure.args[0], "reason", None) if failure.args else None
    return isinstance(reason, NewConnectionError)


def _retry_after(response: requests.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _cause(failure: BaseException) -> str:
    """Return the words of the operating system, out of the exceptions around them."""
    seen: BaseException | None = failure
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        reason = getattr(seen.args[0], "reason", None) if seen.args else None
        seen = (
            seen.__cause__
            or seen.__context__
            or (reason if isinstance(reason, BaseException) else None)
        )
    return "no connection"
