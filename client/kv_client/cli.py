"""The command line: which commands and options there are, and how one command is run."""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from typing import NamedTuple

from handler import __version__
from kv_client import commands
from kv_client.arguments import COMMANDS, OPTIONS, Parser, chosen, options
from kv_client.context import Context, Streams, UsageError
from kv_client.deadline import time_limit
from kv_client.errors import EndpointError, KVError
from kv_client.status import ExitStatus, exit_status

_DESCRIPTION = "Sets, gets and watches the keys of a kv-store."
_EXIT_CODES = """\
exit codes: 0 done, 1 a defect, 2 wrong usage, 3 not found, 4 conflict with the current state,
5 input refused, 6 not allowed in, 7 out of reach, 8 done in part, 130 interrupted"""
# They go on until they are ended, so --timeout is not about them.
_ENDLESS = (commands.watch, commands.serve, commands.shell)


def run(argv: Sequence[str], streams: Streams, shell: Context | None = None) -> ExitStatus:
    """Run one command and return its exit code.

    Args:
        argv: The command line, without the program's name.
        streams: Where the command reads and writes.
        shell: The shell's own context, where the command was given in one.
    """
    inherited = argparse.Namespace(**vars(shell.options)) if shell else None
    try:
        with redirect_stdout(streams.stdout), redirect_stderr(streams.stderr):
            reader = command_line(in_shell=shell is not None, only=_command_of(argv))
            args = reader.parser.parse_args(argv, inherited)
    except SystemExit as end:
        return ExitStatus(int(end.code or 0))
    with Context(streams, chosen(args), shell) as context:
        try:
            with time_limit(None if args.run in _ENDLESS else args.timeout):
                status = args.run(context, args) or ExitStatus.OK
                streams.stdout.flush()
        except KVError as error:
            context.complain(f"{type(error).__name__}: {error.message}")
            status = ExitStatus.PARTIAL if context.done_in_part else exit_status(error)
        except (UsageError, EndpointError) as error:
            context.complain(str(error))
            status = ExitStatus.USAGE
        except OSError as error:
            # A file that can't be used has a name; the process answers for its streams.
            if error.filename is None:
                raise
            context.complain(f"{error.filename}: {error.strerror}")
            status = ExitStatus.USAGE
        context.report_lost_instance()
    return status


class CommandLine(NamedTuple):
    """What reads a command line: the whole of it, and each command's part by its name."""

    parser: argparse.ArgumentParser
    commands: Mapping[str, argparse.ArgumentParser]


@cache
def command_line(*, in_shell: bool = False, only: str | None = None) -> CommandLine:
    """Return what reads kv-client's command line, or a line in its shell.

    Args:
        in_shell: Whether the line is one in the shell.
        only: The command that it holds; None for any. A parser for each would take a good part of
            the time that a command has.
    """
    parser = Parser(
        prog="" if in_shell else "kv-client",
        usage="COMMAND …" if in_shell else "kv-client [OPTION…] COMMAND …",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[options(of_commands=False)],
    )
    if not in_shell:
        parser.add_argument("--version", action="version", version=f"kv-client {__version__}")
        parser.set_defaults(run=commands.shell)
    found = parser.add_subparsers(
        metavar="COMMAND", title="commands", required=in_shell, prog=parser.prog
    )
    known = {
        name: command
        for name, command in COMMANDS.items()
        if (command.in_shell if in_shell else command.outside)
    }
    for name, command in known.items():
        if only not in known or only == name:
            reader = found.add_parser(
                name,
                prog=f"{parser.prog} {name}".strip(),
                aliases=command.aliases,
                help=command.about,
                description=f"{name}: {command.about}.",
                allow_abbrev=False,
                parents=[options(of_commands=True)],
            )
            command.add_arguments(reader)
            reader.set_defaults(run=command.run)
    return CommandLine(parser, found.choices)


def _command_of(argv: Sequence[str]) -> str | None:
    """Return the name of the command, where it stands first or behind options with values."""
    words = iter(argv)
    for word in words:
        if option := OPTIONS.get(word):
            if option.metavar:
                next(words, None)
        else:
            return word if word in COMMANDS else None
    return None
