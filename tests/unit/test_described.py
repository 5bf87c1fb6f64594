"""Every answer is one that openapi.json describes, whatever the request."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import schemathesis
from hypothesis import settings
from schemathesis.config import SchemathesisConfig
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

import handler
from tests import gateways

FILE = Path(handler.__file__).with_name("openapi.json")
# Query parameters that no route knows are ignored.
CONFIG = {"generation": {"allow-extra-parameters": False}}
# What these may hold was in an answer before: no schema says it, so 400 and 412 are right as well.
FROM_ANSWERS = {"cursor", "since", "If-Match", "If-None-Match"}
# An empty one is an absent one.
MAY_BE_EMPTY = {"limit", "cursor"}

description = schemathesis.openapi.from_path(FILE, config=SchemathesisConfig.from_dict(CONFIG))


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    with gateways.gateway() as running:
        yield running.url


@description.parametrize()
@settings(max_examples=25, derandomize=True, deadline=None, database=None)
def test_every_answer_is_one_that_is_described(case: schemathesis.Case, gateway: str) -> None:
    case.body = _whole(case.body)

    response = case.call(base_url=gateway)

    case.validate_response(response, excluded_checks=_unsaid(case, response.request.url))


def _unsaid(case: schemathesis.Case, url: str) -> list[Callable[..., Any]]:
    """Return the checks that ask more of an answer to this case than the description says."""
    unsaid: list[Callable[..., Any]] = []
    if FROM_ANSWERS & {*(case.query or {}), *(case.headers or {})}:
        unsaid.append(positive_data_acceptance)
    # Schemathesis takes what was left out, or is empty once it is in the URL, for wrong even where
    # it may be so.
    absent = MAY_BE_EMPTY & {*(case.query or {})} - {*parse_qs(urlsplit(url).query)}
    no_body = case.operation.path == "/counters/{key}" and case.body is NOT_SET
    if absent or no_body:
        unsaid.append(negative_data_rejection)
    return unsaid


def _whole(body: Any) -> Any:
    """Write whole numbers as such: JSON Schema takes 60.0 for one, the store does not."""
    if isinstance(body, float) and body.is_integer():
        return int(body)
    if isinstance(body, list):
        return [_whole(each) for each in body]
    if isinstance(body, dict):
        return {name: _whole(each) for name, each in body.items()}
    return body
