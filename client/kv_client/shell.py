"""The shell: the commands without the program's name, from a terminal or a script."""

import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress

from kv_client.cli import run
from kv_client.context import Context, EndOfShell, Streams
from kv_client.status import ExitStatus

# What stands before a comment, an open quotation, or a backslash at a line's end: as in other
# shells, a # begins a comment only where a word might begin.
_WORDS = re.compile(
    r"""(?:\s++|(?!\#)(?:[^\s'"\\]|\\[^\n]|'[^']*+'|"(?:[^"\\]|\\.)*+")++)*+""", re.DOTALL
)
_JOINED = re.compile(r"""(?:"(?:[^"\\]|\\[^\n])*+)?\\\n""")


def run_shell(context: Context) -> ExitStatus:
    """Run the commands that stdin holds or a user types.

    Returns:
        For a script the first failure's exit code; the commands after it run all the same.
    """
    stdin = context.streams.stdin
    if stdin is not None and stdin.isatty():
        return _run_typed(context)
    first_failure = ExitStatus.OK
    with suppress(EndOfShell):
        for command in _commands(stdin or ()):
            # The script is on stdin, so none of its commands can read a value there.
            status = run_command(context, command, context.streams._replace(stdin=None))
            first_failure = first_failure or status
    return first_failure


def run_command(context: Context, command: str, streams: Streams) -> ExitStatus:
    """Run one command of the shell and return its exit code.

    Raises:
        EndOfShell: It is the one that ends the shell.
    """
    try:
        words = split(command)
    except ValueError as error:
        # An open quotation may have taken in all the rest of a script.
        first_line = command.strip().partition("\n")[0]
        context.complain(f"{error}: {first_line}")
        return ExitStatus.USAGE
    return run(words, streams, context) if words else ExitStatus.OK


def split(command: str) -> list[str]:
    """Return the words of a command, without the comment at its end.

    Raises:
        ValueError: A quotation does not end.
    """
    rest = _rest(command)
    return shlex.split(command.removesuffix(rest) if rest.startswith("#") else command)


def _commands(lines: Iterable[str]) -> Iterator[str]:
    """Yield the commands of a script: a line each, or more, as quotations and backslashes say.

    Where the script ends in an open quotation, the last one has it too.
    """
    command = ""
    for line in lines:
        command += line
        rest = _rest(command)
        if _JOINED.fullmatch(rest):
            command = command.removesuffix("\\\n")
        elif not rest or rest.startswith("#"):
            yield command
            command = ""
    if command:
        yield command


def _rest(command: str) -> str:
    """Return what is left of a command behind its whole words."""
    words = _WORDS.match(command)
    return command[words.end() :] if words else command


def _run_typed(context: Context) -> ExitStatus:
    from kv_client.prompt import typed_lines

    with suppress(EndOfShell):
        for line in typed_lines(context):
            try:
                run_command(context, line, context.streams)
            except KeyboardInterrupt:
                context.tell("interrupted")
    return ExitStatus.OK
