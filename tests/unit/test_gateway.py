"""The gateway over real sockets, in a process of its own as users run it."""

import json
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.emulator import Answer, Emulator, emulator, responds
from tests.gateways import Gateway, gateway, serve
from tests.polling import eventually

MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def running() -> Iterator[Gateway]:
    with gateway() as running:
        yield running


@pytest.fixture
def waiting() -> Iterator[tuple[Emulator, threading.Event]]:
    """Run an emulator whose function answers once it is let."""
    let = threading.Event()

    def answer(_: dict[str, Any]) -> Answer:
        let.wait(20)
        return responds()

    with emulator(answer) as running:
        try:
            yield running, let
        finally:
            let.set()


def _ask(
    running: Gateway, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(*running.address, timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def _raw(running: Gateway, *parts: bytes) -> bytes:
    """Send bytes as they are and return all that comes back until the gateway closes."""
    with socket.create_connection(running.address, timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def _error(answer: bytes) -> tuple[int, str]:
    """Return status and name of an error of the gateway, after a look at its form."""
    head, _, body = answer.partition(b"\r\n\r\n")
    content = json.loads(body)
    assert {"statusCode", "error", "message"} == set(content)
    assert b"application/json" in head
    assert b"KV-" not in head
    assert int(head.split()[1]) == content["statusCode"]
    return content["statusCode"], content["error"]


def test_it_answers_what_the_endpoint_answers(running: Gateway) -> None:
    response, body = _ask(running, "GET", "/keys/missing")

    assert (404, "Not Found") == (response.status, response.reason)
    assert "KeyNotFound" == json.loads(body)["error"]
    assert ["memory", "no-store"] == [response.headers[n] for n in ("KV-Engine", "Cache-Control")]


def test_it_passes_the_path_on_still_encoded(running: Gateway) -> None:
    response, body = _ask(running, "GET", "/keys/a%3Fb")

    assert (400, "InvalidKey") == (response.status, json.loads(body)["error"])


def test_it_takes_a_target_that_is_a_whole_url(running: Gateway) -> None:
    response, _ = _ask(running, "GET", f"{running.url}/status")

    assert 200 == response.status


def test_it_keeps_a_connection_for_the_next_request(running: Gateway) -> None:
    connection = HTTPConnection(*running.address, timeout=30)
    bodies = []
    for _ in range(3):
        connection.request("GET", "/status")
        bodies.append(json.loads(connection.getresponse().read())["engine"])
    connection.close()

    assert ["memory"] * 3 == bodies


@pytest.mark.parametrize(
    ("request_", "status"),
    [(("DELETE", "/keys/kept"), 204), (("GET", "/keys/kept", None, {"If-None-Match": "*"}), 304)],
)
def test_it_keeps_a_connection_after_an_answer_without_content(
    running: Gateway, request_: tuple[Any, ...], status: int
) -> None:
    _ask(running, "PUT", "/keys/kept?create=true", b'{"value":1}')
    connection = HTTPConnection(*running.address, timeout=30)
    connection.request(*request_)
    response = connection.getresponse()
    response.read()
    kept = connection.sock
    connection.close()

    assert status == response.status
    assert kept is not None
    assert response.headers["Connection"] is None


def test_it_takes_a_chunked_body(running: Gateway) -> None:
    connection = HTTPConnection(*running.address, timeout=30)
    chunks = iter([b'{"key":"chunked",', b'"value":1}'])
    connection.request("POST", "/keys", chunks, encode_chunked=True)
    response = connection.getresponse()
    response.read()
    connection.close()

    assert 201 == response.status


def test_an_answer_to_head_has_no_body(running: Gateway) -> None:
    answer = _raw(running, b"HEAD /keys/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.endswith(b"\r\n\r\n")


def test_an_answer_without_content_has_no_body(running: Gateway) -> None:
    _ask(running, "POST", "/keys", b'{"key":"going","value":1}')

    request = b"DELETE /keys/going HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = _raw(running, request)

    assert answer.startswith(b"HTTP/1.1 204 ")
    assert answer.endswith(b"\r\n\r\n")


def test_a_slow_client_does_not_hold_the_others_up(running: Gateway) -> None:
    with socket.create_connection(running.address, timeout=30) as slow:
        for byte in b"GET /status HTTP/1.1\r\nHos":
            slow.sendall(bytes([byte]))
            assert 200 == _ask(running, "GET", "/status")[0].status
        slow.sendall(b"t: localhost\r\nConnection: close\r\n\r\n")

        assert slow.recv(12).startswith(b"HTTP/1.1 200")


def test_a_client_that_does_not_send_its_body_does_not_hold_the_others_up(running: Gateway) -> None:
    head = b"POST /keys HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
    clients = [socket.create_connection(running.address, timeout=30) for _ in range(20)]
    for client in clients:
        client.sendall(head)

    statuses = [_ask(running, "GET", "/status")[0].status for _ in range(5)]

    for client in clients:
        client.close()
    assert [200] * 5 == statuses


def test_a_client_that_goes_away_does_not_hold_the_others_up(running: Gateway) -> None:
    for part in (b"", b"GET", b"GET /keys HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        for _ in range(10):
            with socket.create_connection(running.address, timeout=30) as client:
                # Closed at once and hard: what comes for it meets a reset.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.sendall(part)

    assert 200 == _ask(running, "GET", "/status")[0].status


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /status HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /status HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /keys HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /keys HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /keys HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_the_contracts_form(
    running: Gateway, request_: bytes
) -> None:
    assert (400, "InvalidRequest") == _error(_raw(running, request_))


def test_what_it_cannot_decode_is_refused_in_the_contracts_form(running: Gateway) -> None:
    request = b"POST /keys HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n"

    status, error = _error(_raw(running, request))

    assert (True, "InvalidRequest") == (status in (400, 501), error)


def test_too_long_a_head_is_refused_in_the_contracts_form(running: Gateway) -> None:
    request = b"GET /status HTTP/1.1\r\nX: " + b"x" * (256 * 1024) + b"\r\n\r\n"

    assert (413, "RequestTooLarge") == _error(_raw(running, request))


@pytest.mark.parametrize(
    "length", [6 * MEBIBYTE + 1, 100 * MEBIBYTE], ids=["a byte more", "much more"]
)
def test_a_body_over_6_mib_is_refused_before_it_is_sent(running: Gateway, length: int) -> None:
    head = f"POST /keys HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"

    assert (413, "RequestTooLarge") == _error(_raw(running, head.encode()))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_sends_too_large_a_body_to_its_end_gets_the_refusal(
    running: Gateway, *, chunked: bool
) -> None:
    connection = HTTPConnection(*running.address, timeout=30)
    body = iter([b"x" * MEBIBYTE] * 12)
    length = {} if chunked else {"Content-Length": str(12 * MEBIBYTE)}
    connection.request("POST", "/keys", body, length, encode_chunked=chunked)
    response = connection.getresponse()
    error = json.loads(response.read())
    connection.close()

    assert (413, "RequestTooLarge") == (response.status, error["error"])
    assert error["message"].endswith("Lambda carries 6291456 bytes")


def test_a_body_that_is_over_6_mib_only_as_an_event_is_refused(running: Gateway) -> None:
    body = json.dumps({"key": "large", "value": '"' * 2 * MEBIBYTE}).encode()

    response, text = _ask(running, "POST", "/keys", body)

    assert (413, "RequestTooLarge") == (response.status, json.loads(text)["error"])


ENDS = [(signal.SIGTERM, 0), (signal.SIGINT, 130)]


@pytest.mark.parametrize(("name", "code"), ENDS)
def test_sigterm_ends_it_and_sigint_interrupts_it(name: signal.Signals, code: int) -> None:
    with gateway() as running:
        _ask(running, "GET", "/status")
        running.process.send_signal(name)
        out, err = running.process.communicate(timeout=30)

    assert (code, "", "") == (running.process.returncode, out, err)


@pytest.mark.parametrize(("name", "code"), ENDS)
def test_a_signal_lets_what_is_under_way_finish(
    waiting: tuple[Emulator, threading.Event], name: signal.Signals, code: int
) -> None:
    upstream, let = waiting
    with gateway(upstream.url) as running, ThreadPoolExecutor() as pool:
        answer = pool.submit(_ask, running, "GET", "/status")
        eventually(lambda: len(upstream.events), lambda count: count == 1)
        running.process.send_signal(name)
        # It has stopped taking connections once it has seen the signal, or is about to.
        pool.submit(let.wait, 0.2).result()
        let.set()

        assert 200 == answer.result(30)[0].status
        assert code == running.process.wait(30)


def test_requests_wait_their_turn_at_an_endpoint_that_takes_one_at_a_time() -> None:
    lock = threading.Lock()
    together = []

    def answer(_: dict[str, Any]) -> Answer:
        alone = lock.acquire(blocking=False)
        together.append(not alone)
        threading.Event().wait(0.02)
        if alone:
            lock.release()
        return responds()

    with (
        emulator(answer) as upstream,
        gateway(upstream.url) as running,
        ThreadPoolExecutor(16) as pool,
    ):
        asked = [pool.submit(_ask, running, "GET", "/status") for _ in range(32)]
        statuses = [each.result(60)[0].status for each in asked]

    assert [200] * 32 == statuses
    assert [False] * 32 == together


def test_it_hands_the_request_on_whole() -> None:
    with (
        emulator(lambda _: responds(201, '"é"', ETag='"a"', Location="/x")) as upstream,
        gateway(upstream.url) as running,
    ):
        body = '{"value":"é"}'.encode()
        response, text = _ask(
            running, "PUT", "/keys/a%20b?create=true", body, If_None="x", Empty=""
        )

    [event] = upstream.events
    assert ("/keys/a%20b", "create=true") == (event["rawPath"], event["rawQueryString"])
    assert (body.decode(), "PUT") == (event["body"], event["requestContext"]["http"]["method"])
    assert "" == event["headers"]["empty"]
    assert (201, '"é"'.encode(), '"a"', "/x") == (
        response.status,
        text,
        response.headers["ETag"],
        response.headers["Location"],
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, '{"errorType":"ImportError","errorMessage":"secret"}'), (502, "HandlerFailed")),
        ((200, "Task timed out after 3.00 seconds"), (504, "HandlerTimeout")),
        ((502, '{"errorType":"Runtime.ExitError"}'), (502, "HandlerFailed")),
        ((502, ""), (502, "HandlerFailed")),
        ((200, ""), (502, "HandlerFailed")),
        ((200, "not JSON"), (502, "HandlerFailed")),
        ((200, "null"), (502, "HandlerFailed")),
        ((200, '{"hello":"world"}'), (502, "HandlerFailed")),
        ((200, '{"statusCode":200,"body":{}}'), (502, "HandlerFailed")),
        ((200, '{"statusCode":200,"body":"\\ud800"}'), (502, "HandlerFailed")),
        ((200, '{"statusCode":200,"body":"x","isBase64Encoded":true}'), (502, "HandlerFailed")),
        ((200, '{"statusCode":200,"headers":[]}'), (502, "HandlerFailed")),
    ],
)
def test_a_failure_in_disguise_comes_out_as_one(answer: Answer, expected: tuple[int, str]) -> None:
    with emulator(lambda _: answer) as upstream, gateway(upstream.url) as running:
        request = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        text = _raw(running, request)

    assert expected == _error(text)
    assert b"secret" not in text


def test_an_endpoint_that_is_not_there_comes_out_as_502() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with gateway(f"rie://127.0.0.1:{port}") as running:
        request = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

        assert (502, "HandlerFailed") == _error(_raw(running, request))


def test_it_refuses_to_listen_beyond_loopback_unless_told() -> None:
    with serve("--host", "0.0.0.0", "--port", "0") as process:  # noqa: S104
        out, err = process.communicate(timeout=30)

    assert (2, "") == (process.returncode, out)
    assert "--let-anyone-in" in err


def test_told_so_it_tries_to_listen_beyond_loopback() -> None:
    # An address of the documentation's (RFC 5737), so none of this machine's.
    with serve("--host", "192.0.2.1", "--port", "0", "--let-anyone-in") as process:
        out, err = process.communicate(timeout=30)

    assert (2, "") == (process.returncode, out)
    assert "can't listen on 192.0.2.1" in err


def test_a_port_in_use_is_wrong_usage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serve("--port", port) as process:
            out, err = process.communicate(timeout=30)

    assert (2, "") == (process.returncode, out)
    assert f"can't listen on 127.0.0.1, port {port}: Address already in use\n" in err


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_a_port_that_is_none_is_wrong_usage(port: str) -> None:
    with serve("--port", port) as process:
        out, _ = process.communicate(timeout=30)

    assert (2, "") == (process.returncode, out)


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_page_of_another_site_is_refused(running: Gateway, headers: dict[str, str]) -> None:
    response, body = _ask(running, "POST", "/keys", b'{"key":"another","value":1}', **headers)

    assert 403 == response.status
    assert "AccessDenied" == json.loads(body)["error"]
    assert 404 == _ask(running, "GET", "/keys/another")[0].status


@pytest.mark.parametrize("host", ["evil.example", "192.0.2.1:3000", "localhost.evil", "[", ""])
def test_a_page_whose_name_leads_here_is_refused(running: Gateway, host: str) -> None:
    own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}

    response, body = _ask(running, "POST", "/keys", b'{"key":"rebound","value":1}', **own)

    assert (403, "AccessDenied") == (response.status, json.loads(body)["error"])
    assert 404 == _ask(running, "GET", "/keys/rebound")[0].status


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1", "127.1.2.3:80", "[::1]:3000", "KV.localhost"]
)
def test_this_machines_names_are_answered(running: Gateway, host: str) -> None:
    assert 200 == _ask(running, "GET", "/status", Host=host)[0].status


def test_where_anyone_is_let_in_any_name_is_answered() -> None:
    options = ("--host", "0.0.0.0", "--port", "0", "--let-anyone-in")  # noqa: S104
    with serve(*options) as process:
        assert process.stdout
        port = int(process.stdout.readline().rpartition(":")[2])
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/status", headers={"Host": "kv.example"})
        status = connection.getresponse().status
        connection.close()

    assert 200 == status


@pytest.mark.parametrize("scheme", ["http", "rie"])
@pytest.mark.parametrize("host", ["127.0.0.1", "kv.localhost"])
def test_it_does_not_serve_itself(scheme: str, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    with serve("--port", str(port), endpoint=f"{scheme}://{host}:{port}") as process:
        out, err = process.communicate(timeout=30)

    assert (2, "") == (process.returncode, out)
    assert "ask itself" in err


def test_its_own_page_is_answered(running: Gateway) -> None:
    origin = {"Origin": running.url, "Sec-Fetch-Site": "same-origin"}

    assert 200 == _ask(running, "GET", "/status", **origin)[0].status


def test_an_endpoint_that_it_has_no_credentials_for_comes_out_as_403(tmp_path: Path) -> None:
    nobody = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "",
        "AWS_REGION": "us-east-1",
    }
    with gateway("http://a.execute-api.us-east-1.localhost:9", **nobody) as running:
        response, body = _ask(running, "GET", "/status")

    assert 403 == response.status
    assert "AccessDenied" == json.loads(body)["error"]
