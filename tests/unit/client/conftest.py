"""What the client's tests share: surroundings of their own, and a store for each."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from handler import routes
from handler.settings import load
from handler.store import open_store
from tests import gateways

_FOREIGN = ("KV_", "AWS_", "NO_COLOR", "HTTP_PROXY", "http_proxy", "NETRC")


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name, folder in (("STATE", "state"), ("CONFIG", "config")):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / folder))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def _empty_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "STORE", open_store(load({})))


@pytest.fixture(scope="session")
def gateway() -> Iterator[str]:
    """Serve a store that all tests share, and yield its URL: a test takes keys of its own."""
    with gateways.gateway() as running:
        yield running.url
