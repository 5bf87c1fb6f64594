from typing import Any

import pytest

from handler import routes
from handler.app import lambda_handler
from handler.settings import load
from handler.store import open_store
from tests.event_files import STATUS, load_event
from tests.runtimes import ROOT


@pytest.fixture(autouse=True)
def _empty_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "STORE", open_store(load({})))


def _send(*names: str) -> dict[str, Any]:
    """Send events one after the other; return the last answer."""
    return [lambda_handler(load_event(name), None) for name in names][-1]


def test_there_is_one_event_for_every_verb() -> None:
    assert sorted(STATUS) == sorted(file.stem for file in (ROOT / "events").iterdir())


@pytest.mark.parametrize("name", STATUS)
def test_an_event_is_answered_on_an_empty_store(name: str) -> None:
    assert STATUS[name] == _send(name)["statusCode"]


@pytest.mark.parametrize("name", ["get", "put", "del", "subs", "unsubs"])
def test_an_event_that_needs_a_key_finds_none_on_an_empty_store(name: str) -> None:
    assert '"error":"KeyNotFound"' in _send(name)["body"]


@pytest.mark.parametrize(
    ("names", "status", "part"),
    [
        (["set"], 201, '"key":"name","value":"ashish","version":1'),
        (["set", "get"], 200, '"value":"ashish","version":1'),
        (["set", "put"], 200, '"value":"ashish-sharma","version":2'),
        (["set", "put", "getall"], 200, '{"items":[{"key":"name","value":"ashish-sharma"'),
        (["incr", "getall"], 200, '{"items":[],"cursor":null}'),
        (["set", "subs"], 200, '"subscribed":true'),
        (["set", "unsubs"], 404, '"error":"NotSubscribed"'),
        (["set", "subs", "suball"], 200, '{"keys":["name"],"cursor":null}'),
        (["changes"], 200, '{"changes":[],"cursor":"'),
        (["incr"], 200, '"key":"visits","value":2,"version":1'),
        (["set", "set"], 409, '"error":"KeyExists"'),
        (["status"], 200, '"engine":"memory"'),
    ],
)
def test_events_sent_one_after_the_other_work_on_the_same_store(
    names: list[str], status: int, part: str
) -> None:
    answer = _send(*names)

    assert status == answer["statusCode"]
    assert part in answer["body"]


@pytest.mark.parametrize("names", [["set", "del"], ["set", "subs", "unsubs"]])
def test_an_event_that_takes_away_is_answered_without_a_body(names: list[str]) -> None:
    answer = _send(*names)

    assert answer["statusCode"] == 204
    assert not answer["body"]


def test_the_batch_event_shows_success_and_failure_side_by_side() -> None:
    body = _send("batch")["body"]

    assert body.count('{"status":20') == 5
    assert body.count('{"status":404,"error":"KeyNotFound"') == 1
