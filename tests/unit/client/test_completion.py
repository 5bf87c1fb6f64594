"""Completion in the shell, and the scripts that complete kv-client elsewhere."""

import shutil
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from kv_client.cli import command_line
from kv_client.context import Context, Streams
from kv_client.prompt import _Completer
from tests.command_line import Terminal, kv


@contextmanager
def _completer(endpoint: str) -> Iterator[_Completer]:
    options = Namespace(
        endpoint=endpoint,
        profile=None,
        json=False,
        timeout=None,
        retries=0,
        region=None,
        aws_profile=None,
    )
    with Context(Streams(None, Terminal(), Terminal()), options) as context:
        yield _Completer(context)


@pytest.fixture
def completer() -> Iterator[_Completer]:
    with _completer("local://") as completer:
        yield completer


def _complete(completer: _Completer, text: str) -> list[str]:
    """Return what the line would be with each of the completions."""
    found = completer.get_completions(Document(text), CompleteEvent())
    return [text[: len(text) + each.start_position] + each.text for each in found]


def test_commands_are_completed(completer: _Completer) -> None:
    assert ["get", "getall", "get-all"] == _complete(completer, "get")
    assert {"help", "exit", *command_line(in_shell=True).commands} == set(_complete(completer, ""))
    assert ["help get", "help getall", "help get-all"] == _complete(completer, "help get")
    assert [] == _complete(completer, "nonsense ")


def test_options_are_completed_those_of_every_command_too(completer: _Completer) -> None:
    assert ["put k v --create"] == _complete(completer, "put k v --cr")
    assert ["get --json"] == _complete(completer, "get --js")
    assert ["--json"] == _complete(completer, "--js")
    assert ["config set --profile"] == _complete(completer, "config set --prof")


def test_keys_are_completed_where_a_command_takes_one(completer: _Completer) -> None:
    for key in ("name", "names/first", "other"):
        kv("set", key, "x")

    assert ["get name", "get names/first"] == _complete(completer, "get na")
    assert ["--json get other"] == _complete(completer, "--json get o")
    assert ["del other name", "del other names/first"] == _complete(completer, "del other na")
    assert ["getall --keys-only other"] == _complete(completer, "getall --keys-only o")
    assert ["put --ttl 5 other"] == _complete(completer, "put --ttl 5 o")
    assert [] == _complete(completer, "get name na")
    assert [] == _complete(completer, "set other na")


def test_a_key_with_spaces_or_quotes_is_completed_in_quotes(completer: _Completer) -> None:
    kv("set", "my key", "x")
    kv("set", "it's", "x")

    assert ["get 'my key'"] == _complete(completer, "get my")
    assert ["get 'my key'"] == _complete(completer, "get 'my k")
    assert ["get 'my key'"] == _complete(completer, 'get "my k')
    assert ["get 'my key'"] == _complete(completer, "get my\\ k")
    assert ["get 'it'\"'\"'s'"] == _complete(completer, "get it")


def test_profiles_and_choices_are_completed(completer: _Completer) -> None:
    kv("config", "set", "production", "endpoint", "local://")
    kv("config", "set", "staging", "endpoint", "local://")

    assert ["--profile production"] == _complete(completer, "--profile p")
    assert ["get x --profile staging"] == _complete(completer, "get x --profile s")
    assert ["config set staging"] == _complete(completer, "config set s")
    assert ["config show", "config set"] == _complete(completer, "config s")
    assert ["config set staging endpoint"] == _complete(completer, "config set staging e")
    assert ["import x --mode replace"] == _complete(completer, "import x --mode r")
    assert [] == _complete(completer, "--endpoint s")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "none://such"])
def test_a_store_out_of_reach_completes_no_keys(endpoint: str) -> None:
    with _completer(endpoint) as completer:
        assert [] == _complete(completer, "get ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_one_for_its_shell(shell: str) -> None:
    ended = kv("completion", shell)

    assert (0, "") == (ended.status, ended.stderr)
    assert "kv-client" in ended.stdout
    assert "getall" in ended.stdout
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=ended.stdout, text=True, check=True)
