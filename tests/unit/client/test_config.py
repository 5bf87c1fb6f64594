"""Profiles, and where kv-client keeps what it keeps."""

import sys
from pathlib import Path

import platformdirs
import pytest

from kv_client.config import config_file, find_endpoint, remember_instance, state_folder
from kv_client.errors import EndpointError
from tests.command_line import kv, written

OTHER = "http://127.0.0.1:9"


def test_a_profile_is_set_shown_and_used() -> None:
    assert (0, "profile home is local://\n", "") == kv(
        "config", "set", "home", "endpoint", "local://"
    )
    kv("config", "set", "away", "endpoint", "https://h/%20x")

    assert (0, "home\tlocal://\naway\thttps://h/%20x\n", "") == kv("config", "show")
    assert (0, "1\n", "") == kv("--profile", "home", "incr", "a", endpoint=None)


def test_a_profile_that_is_set_again_is_changed() -> None:
    kv("config", "set", "home", "endpoint", OTHER)
    kv("config", "set", "home", "endpoint", "local://")

    assert "home\tlocal://\n" == kv("config", "show").stdout


def test_a_file_of_profiles_that_is_a_link_stays_one(tmp_path: Path) -> None:
    kept = written(tmp_path / "kept.ini", "[home]\nendpoint = local://\n")
    config_file().parent.mkdir(parents=True)
    config_file().symlink_to(kept)

    kv("config", "set", "away", "endpoint", OTHER)

    assert config_file().is_symlink()
    assert ["kept.ini"] == [file.name for file in tmp_path.glob("kept*")]
    assert "away" in Path(kept).read_text(encoding="utf-8")


def test_config_path_names_the_file_of_the_profiles() -> None:
    kv("config", "set", "home", "endpoint", "local://")

    assert "[home]\nendpoint = local://\n" in Path(kv("config", "path").lines[0]).read_text()


@pytest.mark.parametrize("name", ["", "DEFAULT", "a]b", "a\nb", "[a]", " a"])
def test_a_name_that_an_ini_file_does_not_hold_is_wrong_usage(name: str) -> None:
    assert (2, "") == kv("config", "set", name, "endpoint", "local://")[:2]
    assert "" == kv("config", "show").stdout


@pytest.mark.parametrize("content", [b"no section\n", b"[a\n", b"\xff\xfe", b"[a]\n[a]\n"])
def test_a_file_that_is_no_ini_file_is_wrong_usage(content: bytes) -> None:
    config_file().parent.mkdir(parents=True)
    written(config_file(), content)

    assert (2, "") == kv("--profile", "a", "get", "x", endpoint=None)[:2]
    assert (2, "") == kv("config", "set", "a", "endpoint", "local://")[:2]
    assert content == config_file().read_bytes()


def test_the_option_goes_before_the_environment_and_that_before_the_profile() -> None:
    kv("config", "set", "home", "endpoint", "http://profile")
    environment = {"KV_ENDPOINT": "from environment"}

    assert "from option" == find_endpoint("from option", "home", environment)
    assert "from environment" == find_endpoint(None, "home", environment)
    assert "http://profile" == find_endpoint(None, "home", {"KV_ENDPOINT": ""})
    assert find_endpoint(None, None, {}) is None
    with pytest.raises(EndpointError):
        find_endpoint(None, "missing", {})


def test_the_gateways_address_is_the_default() -> None:
    assert "http://127.0.0.1:3000" in kv("get", "a", "--retries", "0", endpoint=None).stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs itself is asked")
@pytest.mark.parametrize("home", [None, "", "/somewhere"])
def test_files_are_kept_where_platformdirs_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str | None
) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        if home is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, home and str(tmp_path / "else"))

    assert platformdirs.user_config_path("kv-client") / "config.ini" == config_file()
    assert platformdirs.user_state_path("kv-client") == state_folder()


def test_another_instance_than_last_time_is_noticed_once_for_each_endpoint() -> None:
    seen = [
        remember_instance("a", "1"),
        remember_instance("b", "9"),
        remember_instance("a", "1"),
        remember_instance("a", "2"),
        remember_instance("a", "2"),
        remember_instance("b", "9"),
    ]

    assert [None, None, None, "1", None, None] == seen


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "null", '"text"'])
def test_a_spoilt_file_of_instances_is_written_anew(content: str) -> None:
    written(state_folder() / "instances.json", content)

    assert [None, "1"] == [remember_instance("a", "1"), remember_instance("a", "2")]


def test_a_file_that_is_no_ini_file_is_named_in_plain_words() -> None:
    file = Path(kv("config", "path").stdout.rstrip())
    file.parent.mkdir(parents=True)
    written(file, "endpoint = local://\n")

    ended = kv("--profile", "p", "get", "a", endpoint=None)

    assert (2, "") == ended[:2]
    assert ended.stderr.startswith(f"kv-client: {file} is not an INI file: ")
    assert "Path(" not in ended.stderr
    assert 1 == ended.stderr.count("\n")
