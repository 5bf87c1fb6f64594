"""Writes handler/openapi.json: ``python -m tools.openapi``.

Paths, methods and summaries come from the registered routes, schemas from the handler's structs;
what neither says stands in the tables of ``tools.openapi_tables``.
"""

import inspect
import json
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from handler import __version__, errors
from handler.batch import Failed
from handler.errors import KVError, body_of
from handler.model import Record, RecordState, Status
from handler.routes import router
from tools import openapi_tables as tables

FILE = Path(__file__).parent.parent / "handler" / "openapi.json"

Group = list[type[KVError]]

_JSON = "application/json"


class Registered(NamedTuple):
    """A route as the handler knows it."""

    method: str
    path: str
    name: str
    summary: str


def registered() -> list[Registered]:
    """Return the handler's routes, in the order in which they match."""
    return [
        Registered(method.lower(), _path(rule), function.__name__, inspect.getdoc(function) or "")
        for (rule, methods, *_), function in router._routes.items()  # noqa: SLF001 (no other way)
        for method in methods
    ]


def text() -> str:
    """Return what belongs into the file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """Return the OpenAPI document of the handler's routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in registered():
        paths.setdefault(route.path, {})[route.method] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "kv-store", "version": __version__, "description": tables.INFO},
        # Relative to where the document is, so that it also holds below a stage's name.
        "servers": [{"url": "."}],
        "tags": [{"name": name, "description": text} for name, text in tables.TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "parameters": {
                name: {"name": name, **rest} for name, rest in tables.PARAMETERS.items()
            },
            "headers": tables.HEADERS,
            "responses": dict(_refusals()),
        },
    }


def _path(rule: str) -> str:
    """Return the path that a rule of Powertools' routing stands for, as OpenAPI writes it."""
    return rule.replace("[.]", ".").replace("(?s:.*)", "{key}")


def _operation(registered: Registered) -> dict[str, Any]:
    route = tables.ROUTES[registered.name]
    operation: dict[str, Any] = {
        "operationId": registered.name,
        "tags": [route.tag],
        "summary": registered.summary.rstrip("."),
    }
    if route.note:
        operation["description"] = route.note
    if route.parameters:
        operation["parameters"] = [_ref("parameters", name) for name in route.parameters]
    if route.body:
        operation["requestBody"] = {
            # Where all of a body's fields may be left out, so may the body.
            "required": any(field.required for field in msgspec.structs.fields(route.body)),
            "content": {_JSON: {"schema": _ref("schemas", route.body.__name__)}},
        }
    responses = {str(int(answer.status)): _success(answer) for answer in route.answers}
    for group in _by_status(route):
        responses[str(int(group[0].status))] = _ref("responses", _name(group))
    operation["responses"] = responses
    return operation


def _success(answer: tables.Answer) -> dict[str, Any]:
    names = (*answer.headers, *tables.HEADERS_OF_EVERY_ANSWER)
    response: dict[str, Any] = {
        "description": answer.description,
        "headers": {name: _ref("headers", name) for name in names},
    }
    if answer.schema:
        response["content"] = {answer.content_type: {"schema": _ref("schemas", answer.schema)}}
    return response


def _by_status(route: tables.Route) -> list[Group]:
    status = attrgetter("status")
    ordered = sorted([*route.errors, *tables.ERRORS_OF_EVERY_ROUTE], key=status)
    return [list(group) for _, group in groupby(ordered, key=status)]


def _name(group: Group) -> str:
    return "-".join(error.__name__ for error in group)


def _first_line(error: type[KVError]) -> str:
    return (inspect.getdoc(error) or "").partition("\n")[0]


def _refusals() -> Iterator[tuple[str, dict[str, Any]]]:
    """Make a response of every group of errors that share a status somewhere."""
    groups: list[Group] = [[errors.RouteNotFound], [errors.MethodNotAllowed]]
    groups += [group for route in tables.ROUTES.values() for group in _by_status(route)]
    known = {type(error): error for error in tables.ERRORS}
    for group in groups:
        met = [known[error] for error in group]
        headers = [*met[0].headers]
        if tables.ERRORS_OF_GATEWAYS.isdisjoint(group):
            headers += tables.HEADERS_OF_EVERY_ANSWER
        schema = "BatchError" if errors.BatchFailed in group else "Error"
        narrowed = {
            "statusCode": {"const": int(met[0].status)},
            "error": {"enum": [error.__name__ for error in group]},
        }
        yield (
            _name(group),
            {
                "description": " ".join(
                    f"**{error.__name__}**: {_first_line(error)}" for error in group
                ),
                "headers": {name: _ref("headers", name) for name in headers},
                "content": {
                    _JSON: {
                        "schema": {**_ref("schemas", schema), "properties": narrowed},
                        "examples": {
                            type(error).__name__: {"value": body_of(error)} for error in met
                        },
                    }
                },
            },
        )


def _schemas() -> dict[str, Any]:
    bodies = [route.body for route in tables.ROUTES.values() if route.body]
    structs = [Record, RecordState, Status, Failed, tables.Items, tables.Keys, tables.Changes]
    _, made = msgspec.json.schema_components(
        [*bodies, *structs], ref_template="#/components/schemas/{name}"
    )
    operations = made["BatchBody"]["properties"]["operations"]["items"]["discriminator"]["mapping"]
    in_a_batch = {reference.rpartition("/")[2] for reference in operations.values()}
    for name, schema in made.items():
        schema["description"] = inspect.cleandoc(schema["description"])
        # A bad key fails in its operation's own result: the request as a whole is none the worse.
        if "key" in schema["properties"] and name not in in_a_batch:
            schema["properties"]["key"] = _ref("schemas", "Key")
        more = {**tables.FIELDS, **tables.FIELDS_OF.get(name, {})}
        for field in schema["properties"].keys() & more.keys():
            schema["properties"][field] |= more[field]
        if name in tables.EXAMPLES:
            schema["examples"] = [tables.EXAMPLES[name]]
    return {**made, **tables.SCHEMAS}


def _ref(kind: str, name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{name}"}


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
