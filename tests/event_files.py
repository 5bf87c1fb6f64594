"""The files of events/: one event a verb, as an HTTP API sends them."""

import json
from typing import Any

import requests

from tests.runtimes import ROOT

# What each answers on an empty store.
STATUS = {
    "batch": 200,
    "changes": 200,
    "del": 404,
    "get": 404,
    "getall": 200,
    "incr": 200,
    "put": 404,
    "set": 201,
    "status": 200,
    "suball": 200,
    "subs": 404,
    "unsubs": 404,
}


def load_event(name: str) -> dict[str, Any]:
    """Return the event of a verb."""
    event: dict[str, Any] = json.loads((ROOT / f"events/{name}.json").read_text())
    return event


def send(endpoint: str, verb: str) -> dict[str, Any]:
    """Send the event of a verb to an emulator, named as ``rie://HOST:PORT``; return the answer."""
    address = endpoint.removeprefix("rie://")
    url = f"http://{address}/2015-03-31/functions/function/invocations"
    answer: dict[str, Any] = requests.post(url, json=load_event(verb), timeout=30).json()
    return answer
