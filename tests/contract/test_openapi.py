"""The description of the store is served, and a page to read it."""

from pathlib import Path

import pytest

import handler
from tests.contract.store import Store, error

FILE = Path(handler.__file__).with_name("openapi.json")


def test_the_description_is_the_file(store: Store) -> None:
    assert FILE.read_text() == store.send("GET", "/openapi.json").text


def test_the_page_asks_nobody_but_the_store(store: Store) -> None:
    answer = store.send("GET", "/docs")

    assert 200 == answer.status_code
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.gap("memory_stack", "dynamodb_stack", "the emulation drops a slash at the end")
@pytest.mark.parametrize("path", ["/docs/", "/openapi.json/"])
def test_a_path_with_a_slash_after_a_document_is_no_route(store: Store, path: str) -> None:
    assert (404, "RouteNotFound") == error(store.send("GET", path))


@pytest.mark.parametrize("path", ["/docs/x", "/openapi-json"])
def test_a_path_beside_a_document_is_no_route(store: Store, path: str) -> None:
    assert (404, "RouteNotFound") == error(store.send("GET", path))
