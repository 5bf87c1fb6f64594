import json
from typing import Any

import pytest

from tests.runtimes import SAM, run, sam_environment

# Prints the template as SAM expands it. It runs in SAM's own environment.
_EXPAND = """
import json
from types import SimpleNamespace
from samcli.yamlhelper import parse_yaml_file
from samtranslator.translator.transform import transform

template = parse_yaml_file("template.yaml")
template["Resources"]["KvStoreFunction"]["Properties"]["ImageUri"] = "registry.example/kv-store:1"
print(json.dumps(transform(template, {}, SimpleNamespace(load=dict))))
"""


@pytest.fixture(scope="module")
def expanded(sam: None) -> dict[str, Any]:
    """Expand the template as a deployment does."""
    template: dict[str, Any] = json.loads(
        run(SAM.with_name("python"), "-c", _EXPAND, environment=sam_environment())
    )
    return template


def test_sam_validate_lints_the_template_and_finds_nothing(sam: None) -> None:
    said = run(SAM, "validate", environment=sam_environment())

    # Where it did not lint, it goes on to recommend that.
    assert said.endswith("template.yaml is a valid SAM Template\n")


def test_cfn_lint_finds_nothing_in_the_template(sam: None) -> None:
    assert run(SAM.with_name("cfn-lint"), "--include-checks", "I", "--", "template.yaml") == ""


def test_every_route_asks_for_iam_authorization(expanded: dict[str, Any]) -> None:
    api = expanded["Resources"]["KvStoreApi"]["Properties"]["Body"]
    routes = [route for path in api["paths"].values() for route in path.values()]

    assert [route["security"] for route in routes] == [[{"AWS_IAM": []}]]
    scheme = api["components"]["securitySchemes"]["AWS_IAM"]
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_every_path_and_method_reach_the_handler_by_the_default_route(
    expanded: dict[str, Any],
) -> None:
    paths = expanded["Resources"]["KvStoreApi"]["Properties"]["Body"]["paths"]

    assert list(paths) == ["$default"]
    assert list(paths["$default"]) == ["x-amazon-apigateway-any-method"]


def test_the_function_runs_once_unless_the_parameter_says_otherwise(
    expanded: dict[str, Any],
) -> None:
    function = expanded["Resources"]["KvStoreFunction"]["Properties"]

    assert function["ReservedConcurrentExecutions"] == {"Ref": "ReservedConcurrency"}
    assert expanded["Parameters"]["ReservedConcurrency"]["Default"] == 1


def test_the_function_gives_up_before_the_http_api_does(expanded: dict[str, Any]) -> None:
    assert expanded["Resources"]["KvStoreFunction"]["Properties"]["Timeout"] < 30


def test_the_outputs_name_the_endpoint_and_the_function(expanded: dict[str, Any]) -> None:
    assert list(expanded["Outputs"]) == ["Endpoint", "FunctionName"]
