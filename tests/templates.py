"""The templates as a deployment reads them: expanded by SAM, their conditions decided."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.runtimes import SAM, run, sam_environment

# Prints the template as SAM expands it, with parameters. It runs in SAM's own environment.
EXPAND = """
import json, sys
from types import SimpleNamespace
from samcli.yamlhelper import parse_yaml_file
from samtranslator.translator.transform import transform

parameters = dict(each.split("=") for each in sys.argv[2:])
template = parse_yaml_file(sys.argv[1])
print(json.dumps(transform(template, parameters, SimpleNamespace(load=dict))))
"""
# Prints a template of plain CloudFormation, without the short forms of YAML.
_PARSE = "import json, sys; from samcli.yamlhelper import parse_yaml_file as parse; print(json.dumps(parse(sys.argv[1])))"  # noqa: E501

ENGINES = ["memory", "dynamodb"]

Template = dict[str, Any]


def expanded_with(**parameters: str) -> Template:
    """Return template.yaml as a deployment makes it, with some image if none is named."""
    return expanded("template.yaml", **{"ImageUri": "registry.example/kv-store:1", **parameters})


def expanded(file: str | Path, **parameters: str) -> Template:
    """Return a template as a deployment makes it: resources whose condition fails left out."""
    given = [f"{name}={value}" for name, value in parameters.items()]
    command = (SAM.with_name("python"), "-c", EXPAND, file, *given)
    template: Template = json.loads(run(*command, environment=sam_environment()))
    defaults = {name: each.get("Default") for name, each in template["Parameters"].items()}
    values = {**defaults, **parameters}
    holds = {name: _holds(each, values) for name, each in template["Conditions"].items()}
    template["Resources"] = _decided(template["Resources"], holds)
    template["Outputs"] = _decided(template["Outputs"], holds)
    return template


def plain(name: str) -> Template:
    """Return a template of plain CloudFormation, the short forms of YAML written out."""
    template: Template = json.loads(
        run(SAM.with_name("python"), "-c", _PARSE, name, environment=sam_environment())
    )
    return template


def of(template: Template, kind: str) -> dict[str, Any]:
    """Return the properties of all resources of a kind."""
    return {
        name: each.get("Properties", {})
        for name, each in template["Resources"].items()
        if each["Type"] == kind
    }


def statements(template: Template) -> Iterator[tuple[str, list[str], list[Any]]]:
    """Yield each statement of the roles and the boundary: its name, the actions, the resources."""
    policies = [
        *of(template, "AWS::IAM::ManagedPolicy").items(),
        *(
            (name, policy)
            for name, role in of(template, "AWS::IAM::Role").items()
            for policy in role.get("Policies", [])
        ),
    ]
    for name, policy in policies:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions, resources = statement["Action"], statement["Resource"]
            yield (
                name,
                actions if isinstance(actions, list) else [actions],
                resources if isinstance(resources, list) else [resources],
            )


def actions_of(template: Template, role: str) -> set[str]:
    return {each for name, actions, _ in statements(template) if name == role for each in actions}


def resolved(value: Any, names: dict[str, str]) -> str:
    """Return a value of a template with what it names put in."""
    match value:
        case {"Ref": name}:
            return names[name]
        case {"Fn::GetAtt": [name, attribute]}:
            return names[f"{name}.{attribute}"]
        case {"Fn::Sub": text}:
            return re.sub(r"\$\{(.+?)\}", lambda name: names[name[1]], text)
    return str(value)


def _holds(condition: Any, values: dict[str, Any]) -> Any:
    """Return what a condition, or a part of it, comes to."""
    match condition:
        case {"Fn::Equals": [one, other]}:
            return _holds(one, values) == _holds(other, values)
        case {"Fn::Not": [negated]}:
            return not _holds(negated, values)
        case {"Ref": name}:
            return values[name]
    return condition


def _decided(node: Any, holds: dict[str, bool]) -> Any:
    if isinstance(node, list):
        decided = [_decided(each, holds) for each in node]
        return [each for each in decided if each != {"Ref": "AWS::NoValue"}]
    if not isinstance(node, dict):
        return node
    if "Fn::If" in node:
        condition, yes, no = node["Fn::If"]
        return _decided(yes if holds[condition] else no, holds)
    there = {
        name: each
        for name, each in node.items()
        if not (isinstance(each, dict) and not holds.get(each.get("Condition"), True))
    }
    decided = {name: _decided(each, holds) for name, each in there.items()}
    return {name: each for name, each in decided.items() if each != {"Ref": "AWS::NoValue"}}
