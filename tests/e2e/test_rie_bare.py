import requests

from tests.event_files import load_event


def test_the_bare_emulator_serves_the_handler_of_the_checkout(rie_bare: str) -> None:
    address = rie_bare.removeprefix("rie://")
    url = f"http://{address}/2015-03-31/functions/function/invocations"

    assert requests.post(url, json=load_event("status"), timeout=30).json()["statusCode"] == 200
