"""What docs/ names is there: commands and their options, parameters, outputs and alarms."""

import re
import shlex
from pathlib import Path

import pytest

from kv_client import cli

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
EVERYTHING = {**PAGES, "README.md": (ROOT / "README.md").read_text()}
TEMPLATES = {name: (ROOT / name).read_text() for name in ("template.yaml", "pipeline.yaml")}


def commands(program: str) -> list[list[str]]:
    """Return the words of each command of a program, in blocks of commands and in tables."""
    blocks = re.findall(r"```sh\n(.*?)```", "".join(EVERYTHING.values()), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    cells = re.findall(r"^\|.*?\| `(.*?)` \|", "".join(PAGES.values()), re.MULTILINE)
    texts = [line.partition(program)[2] for line in [*lines, *cells] if program in line]
    return [shlex.split(re.sub(r"[<>].*", "", text), comments=True) for text in texts]


def named(section: str, *templates: str) -> set[str]:
    """Return the names in a section of the templates."""
    found = set()
    for template in templates:
        text = TEMPLATES[template].partition(f"\n{section}:\n")[2]
        body = re.split(r"^\w", text, maxsplit=1, flags=re.MULTILINE)[0]
        found |= set(re.findall(r"^  (\w+):$", body, re.MULTILINE))
    return found


@pytest.mark.parametrize("words", commands(".venv/bin/kv-client "), ids=" ".join)
def test_each_command_of_kv_client_is_one(words: list[str]) -> None:
    parser, _ = cli.command_line()

    assert parser.parse_args(words)


def test_each_parameter_that_is_given_is_one_of_the_templates() -> None:
    given = {
        word.partition("=")[0]
        for program in ("sam deploy", "aws cloudformation deploy")
        for words in commands(program)
        for word in words
        if re.match(r"\w+=", word)
    }

    assert {"Engine", "ImageUri"} <= given
    assert given <= named("Parameters", *TEMPLATES)


def test_every_file_that_is_named_is_there() -> None:
    text = "".join([*EVERYTHING.values(), (ROOT / "CONTRIBUTING.md").read_text()])
    folders = [each.name for each in ROOT.iterdir() if each.is_dir() and each.name[0] != "."]
    files = re.findall(rf"(?<![\w./-])(?:{'|'.join(folders)})/[\w./-]*\w", text)

    assert files
    assert [each for each in files if not (ROOT / each).exists()] == []


def test_every_alarm_is_explained() -> None:
    table = PAGES["operations.md"].partition("## Alarms")[2].partition("\n## ")[0]
    patterns = [
        name.replace("…", r"\w+")
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(.+?)`", row)
    ]
    alarms = re.findall(
        r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm", TEMPLATES["template.yaml"], re.MULTILINE
    )

    assert patterns
    assert [each for each in alarms if not any(re.fullmatch(one, each) for one in patterns)] == []
    assert [one for one in patterns if not any(re.fullmatch(one, each) for each in alarms)] == []


def test_every_log_group_is_explained() -> None:
    table = PAGES["operations.md"].partition("## Logs")[2].partition("\n## ")[0]
    groups = re.findall(
        r"^  (\w+):\n    Type: AWS::Logs::LogGroup", TEMPLATES["template.yaml"], re.MULTILINE
    )

    explained = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert "`/aws/vendedlogs/STACK/access`" in table
    assert explained == set(groups) - {"AccessLog"}


def test_every_output_that_is_named_is_one() -> None:
    there = named("Outputs", *TEMPLATES) | named("Parameters", *TEMPLATES)
    mentioned = set(re.findall(r"\b((?:[A-Z][a-z]+)+(?:Arn|Url|Name))\b", PAGES["operations.md"]))

    assert mentioned
    assert mentioned <= there
