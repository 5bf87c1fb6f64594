"""The templates, each expanded once."""

import pytest

from tests.templates import Template, expanded_with, plain

ENGINES = ["memory", "dynamodb"]


@pytest.fixture(scope="session")
def memory(sam: None) -> Template:
    return expanded_with(Engine="memory")


@pytest.fixture(scope="session")
def dynamodb(sam: None) -> Template:
    return expanded_with(Engine="dynamodb", GradualDeployment="true", AlarmEmail="a@example.org")


@pytest.fixture(params=ENGINES)
def expanded(request: pytest.FixtureRequest) -> Template:
    """Return the template as it is expanded for each engine."""
    template: Template = request.getfixturevalue(request.param)
    return template


@pytest.fixture(scope="session")
def pipeline(sam: None) -> Template:
    return plain("pipeline.yaml")
