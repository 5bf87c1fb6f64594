"""The OpenAPI document is what the routes make of it, and the page around it is complete."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import docs, errors, routes
from handler.keys import check_key
from tools import openapi, openapi_tables

METHODS = {"get", "post", "put", "delete"}
# Characters that a rule for keys is about, and some that none is about.
CHARACTERS = st.one_of(
    st.sampled_from("./ a\u00a0\u3000%\\\n\u0085é"), st.characters(exclude_categories=["Cs"])
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(docs.document())
    return loaded


def test_the_document_is_fresh() -> None:
    stale = "handler/openapi.json is stale: python -m tools.openapi"

    assert openapi.text() == docs.document(), stale


def test_no_route_is_described_that_does_not_exist() -> None:
    assert {route.name for route in openapi.registered()} == set(openapi_tables.ROUTES)


def test_the_document_has_the_methods_that_each_path_allows(document: dict[str, Any]) -> None:
    described = {path: METHODS & set(operations) for path, operations in document["paths"].items()}
    allowed = {
        path: set((routes.allowed_methods(path) or "").lower().split(", ")) for path in described
    }

    assert allowed == described
    assert len(routes._METHODS) == len(described)


def test_every_error_of_the_contract_is_described(document: dict[str, Any]) -> None:
    named = {
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, errors.KVError)
    }

    assert named - {"KVError"} == set(
        document["components"]["schemas"]["Error"]["properties"]["error"]["enum"]
    )


def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    components = document["components"]
    there = {f"#/components/{kind}/{name}" for kind in components for name in components[kind]}

    assert set() == set(re.findall(r'"(#/components/[^"]+)"', docs.document())) - there


@given(st.text(CHARACTERS, max_size=12))
def test_the_pattern_for_keys_says_what_the_rules_say(key: str) -> None:
    pattern = openapi_tables.SCHEMAS["Key"]["pattern"]

    assert _is_key(key) == bool(re.search(pattern, key))


def test_the_page_holds_scripts_and_styles_that_do_not_end_early() -> None:
    page = docs.page()

    assert (2, 1) == (page.count("</script"), page.count("</style"))


def test_the_page_needs_no_pydantic() -> None:
    # The image has none, so what imports it there fails.
    code = (
        "import sys; sys.modules['pydantic'] = None; from handler import app, docs; "
        "docs.page(); docs.document()"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def _is_key(text: str) -> bool:
    try:
        return check_key(text) == text
    except errors.InvalidKey:
        return False
