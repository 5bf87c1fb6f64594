import json
from itertools import product
from pathlib import Path

import pytest
import requests

from tests.event_files import STATUS
from tests.runtimes import SAM, run, sam_environment

pytestmark = pytest.mark.docker

_PATHS = ["/", "/keys", "/keys/a/b%20c", "/status", "/no/such/path"]
_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]


@pytest.mark.parametrize("verb", STATUS)
def test_sam_local_invoke_answers_an_event(verb: str, sam_build: Path) -> None:
    command = (SAM, "local", "invoke", "-e", f"events/{verb}.json")
    said = run(*command, environment=sam_environment(), folder=sam_build)

    assert json.loads(said)["statusCode"] == STATUS[verb]


def test_sam_local_start_api_hands_every_path_and_method_to_the_handler(
    sam_start_api: str,
) -> None:
    answers = [
        requests.request(method, sam_start_api + path, timeout=30)
        for method, path in product(_METHODS, _PATHS)
    ]

    assert ["memory"] * len(answers) == [answer.headers.get("KV-Engine") for answer in answers]


def test_sam_local_start_api_keeps_data_between_requests(sam_start_api: str) -> None:
    record = {"key": "kept/by sam", "value": [1.10, "é"]}
    made = requests.post(f"{sam_start_api}/keys", json=record, timeout=30)
    found = requests.get(f"{sam_start_api}/keys/kept/by%20sam", timeout=30)

    assert made.status_code == 201
    assert made.json() == found.json()
