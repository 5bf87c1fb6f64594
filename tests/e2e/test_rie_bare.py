from tests.event_files import send


def test_the_bare_emulator_serves_the_handler_of_the_checkout(rie_bare: str) -> None:
    assert send(rie_bare, "status")["statusCode"] == 200
