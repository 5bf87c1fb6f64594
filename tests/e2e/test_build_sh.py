"""build.sh, as someone runs it in a clone that was never set up."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.runtimes import copy_of_checkout

SCRIPT = """\
set name ashish
get name
put name ashish-sharma
subs name
suball
put name x
getall
del name
suball
get name
"""
PRINTED = """\
set name (version 1)
ashish
put name (version 2)
subscribed to name
name
put name (version 3, subscribed)
name\tx
deleted name
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_checkout(tmp_path_factory.mktemp("clone") / "kv store")


def _build_sh(
    clone: Path, *words: str, stdin: str = "", home: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name[:4] != "XDG_"}
    if home:
        environment["HOME"] = str(home)
    return subprocess.run(
        ["bash", "build.sh", *words],
        cwd=clone,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_sets_itself_up_and_runs_the_commands_on_stdin(clone: Path, tmp_path: Path) -> None:
    first = _build_sh(clone, "run", stdin=SCRIPT, home=tmp_path)
    second = _build_sh(clone, "run", stdin=SCRIPT, home=tmp_path)

    assert (3, PRINTED) == (first.returncode, first.stdout), first.stderr
    assert (3, PRINTED) == (second.returncode, second.stdout), second.stderr
    assert "setting up" in first.stderr
    assert "setting up" not in second.stderr
    # Outside the clone there is nothing but what installers cache.
    assert {path.name for path in tmp_path.iterdir()} <= {".cache", ".local"}
    assert not (tmp_path / ".local/state").exists()


@pytest.mark.docker
def test_stack_deploys_and_runs_the_commands_on_stdin(
    docker: None, clone: Path, tmp_path: Path
) -> None:
    ended = _build_sh(clone, "stack", "dynamodb", stdin=SCRIPT, home=tmp_path)

    assert (3, PRINTED) == (ended.returncode, ended.stdout), ended.stderr


def test_the_menu_names_its_choices_and_refuses_others(clone: Path) -> None:
    ended = _build_sh(clone, stdin="3\n")

    assert 1 == ended.returncode
    assert "1 server\n2 client\n" in ended.stderr
    assert "the choice is 1 or 2" in ended.stderr


def test_the_menus_second_choice_is_the_client(clone: Path, tmp_path: Path) -> None:
    ended = _build_sh(clone, stdin="2\nhelp\n", home=tmp_path)

    assert 0 == ended.returncode, ended.stderr
    assert "make a key that is not there" in ended.stdout


def test_an_unknown_word_is_refused_with_what_there_is(clone: Path) -> None:
    ended = _build_sh(clone, "start")

    assert 2 == ended.returncode
    assert "bash build.sh run" in ended.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("run", "now"),
        ("client", "now"),
        ("server", "--podman"),
        ("stack", "redis"),
        ("stack", "memory", "dynamodb"),
    ],
)
def test_a_word_too_many_is_refused_before_anything_is_set_up(
    clone: Path, words: tuple[str, ...]
) -> None:
    ended = _build_sh(clone, *words)

    assert 1 == ended.returncode
    assert words[-1] in ended.stderr
    assert "setting up" not in ended.stderr
