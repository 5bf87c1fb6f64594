"""HTTP requests as events, and results as HTTP responses."""

import base64

import pytest

from kv_client.errors import HandlerFailed, HandlerTimeout
from kv_client.events import event_of, response_of


def test_an_event_carries_method_path_query_and_body() -> None:
    event = event_of("PUT", "/keys/a%2Fb?create=true&x", {"If-Match": "*"}, b'{"value":1}')

    http = event["requestContext"]["http"]
    assert ("PUT", "/keys/a%2Fb", "/keys/a%2Fb") == (http["method"], http["path"], event["rawPath"])
    assert "create=true&x" == event["rawQueryString"]
    assert {"create": "true", "x": ""} == event["queryStringParameters"]
    assert {"if-match": "*"} == event["headers"]
    assert ('{"value":1}', False) == (event["body"], event["isBase64Encoded"])


def test_an_event_has_the_form_of_api_gateways_format_2_0() -> None:
    event = event_of("GET", "/", {"Host": "example.org", "User-Agent": "curl/8"}, b"")

    context = event["requestContext"]
    assert ("2.0", "$default", "$default") == (
        event["version"],
        event["routeKey"],
        context["stage"],
    )
    assert "example.org" == context["domainName"]
    assert ("curl/8", "HTTP/1.1") == (context["http"]["userAgent"], context["http"]["protocol"])
    assert {"body", "queryStringParameters"}.isdisjoint(event)


def test_every_event_has_a_request_id_of_its_own() -> None:
    events = [event_of("GET", "/", {}, b"") for _ in range(2)]

    assert 2 == len({event["requestContext"]["requestId"] for event in events})


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "1,2"}),
        ("prefix=a%2Bb+c%20d", {"prefix": "a+b c d"}),
        ("prefix=a,b", {"prefix": "a,b"}),
        ("prefix=%C3%A9", {"prefix": "é"}),
        ("prefix=%FF", {"prefix": "\ufffd"}),
        ("limit=&x", {"limit": "", "x": ""}),
        ("a=b=c?d", {"a": "b=c?d"}),
    ],
)
def test_a_query_is_decoded(query: str, parameters: dict[str, str]) -> None:
    event = event_of("GET", f"/keys?{query}", {}, b"")

    assert (parameters, query) == (event["queryStringParameters"], event["rawQueryString"])


@pytest.mark.parametrize("body", [b"\xff", b"\xed\xa0\x80", "é".encode("utf-16")])
def test_a_body_that_is_not_utf_8_travels_as_base64(body: bytes) -> None:
    event = event_of("POST", "/keys", {}, body)

    assert (body, True) == (base64.b64decode(event["body"]), event["isBase64Encoded"])


def test_a_result_is_a_response() -> None:
    result = {"statusCode": 201, "headers": {"ETag": '"a"', "X": 1}, "body": '"é"'}

    assert (201, {"ETag": '"a"', "X": "1"}, '"é"'.encode()) == response_of(result)


def test_a_result_in_base64_is_decoded() -> None:
    result = {"statusCode": 200, "body": "/w==", "isBase64Encoded": True}

    assert (200, {}, b"\xff") == response_of(result)


@pytest.mark.parametrize("fields", [{}, {"body": None, "headers": None}, {"body": ""}])
def test_a_result_may_leave_out_headers_and_body(fields: dict[str, object]) -> None:
    assert (204, {}, b"") == response_of({"statusCode": 204, **fields})


@pytest.mark.parametrize("result", [None, 1, "text", [], {}, {"statusCode": "200"}])
def test_what_is_no_response_is_a_failure_of_the_handler(result: object) -> None:
    with pytest.raises(HandlerFailed, match="not as a kv-store"):
        response_of(result)


def test_a_function_that_raised_is_a_failure_of_the_handler() -> None:
    result = {"errorType": "ImportError", "errorMessage": "secret", "stackTrace": ["secret"]}

    with pytest.raises(HandlerFailed, match="ImportError") as failure:
        response_of(result)

    assert "secret" not in failure.value.message


def test_a_function_that_took_too_long_is_a_timeout_of_the_handler() -> None:
    result = {"errorMessage": "2026-11-24T20:55:43.123Z 1 Task timed out after 3.00 seconds"}

    with pytest.raises(HandlerTimeout):
        response_of(result)
