"""The shell: the commands without the program's name, from a terminal or a script."""

import re
import shlex

from kv_client.cli import run
from kv_client.context import Context, Streams
from kv_client.status import ExitStatus

_ENDS = (["exit"], ["quit"])
# What stands before a comment: as in other shells, a # begins one only where a word might begin.
_BEFORE_COMMENT = re.compile(
    r"""(?:\s++|(?!\#)(?:[^\s'"\\]|\\.|'[^']*+'|"(?:[^"\\]|\\.)*+")++)*+""", re.DOTALL
)


def run_shell(context: Context) -> ExitStatus:
    """Run the commands that stdin holds or a user types.

    Returns:
        For a script the first failure's exit code; the commands after it run all the same.
    """
    stdin = context.streams.stdin
    if stdin is not None and stdin.isatty():
        return _run_typed(context)
    first_failure = ExitStatus.OK
    for line in stdin or ():
        if ends(line):
            break
        # The script is on stdin, so none of its commands can read a value there.
        status = run_line(context, line, context.streams._replace(stdin=None))
        first_failure = first_failure or status
    return first_failure


def run_line(context: Context, line: str, streams: Streams) -> ExitStatus:
    """Run one line of the shell and return its exit code."""
    try:
        words = split(line)
    except ValueError as error:
        context.complain(f"{error}: {line.strip()}")
        return ExitStatus.USAGE
    if not words:
        return ExitStatus.OK
    if words[0] == "help":
        words = [*words[1:], "--help"]
    return run(words, streams, context)


def ends(line: str) -> bool:
    """Tell whether a line ends the shell."""
    try:
        return split(line) in _ENDS
    except ValueError:
        return False


def split(line: str) -> list[str]:
    """Return the words of a line, without the comment at its end.

    Raises:
        ValueError: A quotation does not end.
    """
    before = _BEFORE_COMMENT.match(line)
    end = before.end() if before else 0
    return shlex.split(line[:end] if line.startswith("#", end) else line)


def _run_typed(context: Context) -> ExitStatus:
    from kv_client.prompt import typed_lines

    for line in typed_lines(context):
        if ends(line):
            break
        try:
            run_line(context, line, context.streams)
        except KeyboardInterrupt:
            context.tell("interrupted")
    return ExitStatus.OK
