"""The README is true: its examples run, and its tables are those of the code."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from handler import errors, routes, settings
from kv_client import cli, endpoints
from kv_client.status import ExitStatus
from tests import gateways

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEFAULT = "http://127.0.0.1:3000"
END_OF_OUTPUT = "-- end of output --"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def steps(block: str, prompt: str) -> list[tuple[str, str]]:
    """Return a transcript's commands, each with what follows it."""
    return [
        (command, output)
        for command, _, output in (
            step.partition("\n") for step in f"\n{block}".split(f"\n{prompt}")[1:]
        )
    ]


def rows(heading: str) -> list[list[str]]:
    """Return the first table's rows under a heading, without its own head."""
    section = README.partition(f"# {heading}\n")[2]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table, heading
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def assert_printed(expected: str, printed: str) -> None:
    """Compare output with an example's, in which … stands for what differs each time."""
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
    assert re.fullmatch(pattern, printed.strip()), f"{printed!r} is not {expected!r}"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """Return the surroundings of a user with a store of his own on this machine."""
    scripts = Path(sys.executable).parent
    with gateways.gateway() as running:
        yield {
            "PATH": f"{scripts}:{os.environ['PATH']}",
            "KV_ENDPOINT": running.url,
            "HOME": str(tmp_path),
            "NO_PROXY": "*",
        }


def test_the_shells_transcript_is_what_the_shell_prints(environment: Mapping[str, str]) -> None:
    [block] = blocks("kv-client")
    transcript = steps(block, "kv> ")
    script = "".join(f"{command}\n" for command, _ in transcript)

    done = subprocess.run(
        ["kv-client"],
        input=script,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert_printed("\n".join(output for _, output in transcript if output), done.stdout)
    assert done.returncode == ExitStatus.NOT_FOUND


@pytest.mark.parametrize("block", blocks("console"), ids=["curl", "kv-client"])
def test_a_transcript_is_what_its_commands_print(
    block: str, environment: Mapping[str, str]
) -> None:
    transcript = steps(block, "$ ")
    for program in {command.split()[0] for command, _ in transcript} - {"echo"}:
        if not shutil.which(program, path=environment["PATH"]):
            pytest.skip(f"{program} is not installed")
    # Each command finds the exit code of the one before in $?, as at a prompt.
    script = "".join(
        f"(exit $status)\n{command} 2>&1\nstatus=$?\necho; echo '{END_OF_OUTPUT}'\n"
        for command, _ in transcript
    )

    done = subprocess.run(
        ["bash", "-c", "status=0\n" + script.replace(DEFAULT, environment["KV_ENDPOINT"])],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )

    outputs = done.stdout.split(END_OF_OUTPUT)
    assert len(outputs) == len(transcript) + 1
    for (_, expected), printed in zip(transcript, outputs[:-1], strict=True):
        assert_printed(expected, printed)


def test_the_librarys_examples_do_what_they_say() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "doctest", "README.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == ""
    assert blocks("python")


def test_every_verb_is_in_the_table_with_its_request() -> None:
    documented = {request for _, request in rows("Verbs")}

    described = {
        f"`{method} {path.replace('…', '{key}')}`"
        for path, methods in routes._METHODS.items()
        for method in methods.split(", ")
        if path not in {"/docs", "/openapi.json"}
    }
    assert described == documented


def test_every_command_is_in_the_table_with_what_it_does() -> None:
    documented = {
        command.split()[0]: about
        for commands, about in rows("kv-client")
        for command in code(commands)
    }

    parser = cli.command_line().parser
    [commands] = [action for action in parser._actions if action.choices and action.nargs]
    shown = commands._get_subactions()  # type: ignore[attr-defined]
    assert {action.dest: action.help for action in shown} == documented


def test_every_option_is_in_the_table() -> None:
    documented = {
        word
        for options, *_ in rows("Options")
        for option in code(options)
        for word in option.split()
        if word.startswith("--")
    }

    parser, commands = cli.command_line()
    known = {
        option
        for reader in (parser, *commands.values())
        for action in reader._actions
        for option in action.option_strings
        if option.startswith("--")
    }
    assert known - {"--help", "--version"} == documented


def test_every_exit_code_is_in_the_table() -> None:
    documented = [int(number) for number, _ in rows("Exit codes")]

    assert [int(status) for status in ExitStatus] == documented


def test_every_kind_of_endpoint_is_in_the_table() -> None:
    documented = [code(urls) for urls, _ in rows("Endpoints")]

    kinds = re.split(r", | or ", endpoints._SCHEMES)
    assert sorted(kinds) == sorted(url for urls in documented for url in urls)


def test_every_variable_that_the_handler_reads_is_in_the_table() -> None:
    documented = {name for names, *_ in rows("The handler's environment") for name in code(names)}

    read: set[str] = set()

    class Spy(dict[str, str]):
        def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
            read.add(name)
            return super().get(name, default)

    settings.load(Spy())
    settings.load(Spy(KV_ENGINE="dynamodb", KV_TABLE="t", AWS_REGION="r"))
    # Lambda sets the size; the endpoint is read by the library that defines it.
    by_others = {"AWS_ENDPOINT_URL"}
    assert read - {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE"} | by_others == documented


def test_the_errors_are_those_of_the_code_with_their_statuses() -> None:
    written = {
        name: status
        for names, statuses in rows("Errors")
        for name, status in zip(
            names.partition(":")[0].split(", "), itertools.cycle(statuses.split(", ")), strict=False
        )
    }
    known = {
        each.__name__: str(int(each.status))
        for each in errors.KVError.__subclasses__()
        if each.__module__ == errors.__name__
    }

    assert known == written
