"""The command line: which commands and options there are, and how one command is run."""

import argparse
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from handler import __version__
from kv_client import commands
from kv_client.context import Context, Streams, UsageError
from kv_client.deadline import time_limit
from kv_client.errors import EndpointError, KVError
from kv_client.status import ExitStatus, exit_status
from kv_client.subscriber import PROTOCOLS, Subscriber

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

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
            args = command_line(in_shell=shell is not None).parser.parse_args(argv, inherited)
    except SystemExit as end:
        return ExitStatus(int(end.code or 0))
    with Context(streams, args, shell) as context:
        try:
            with time_limit(None if args.run in _ENDLESS else args.timeout):
                status = args.run(context, args) or ExitStatus.OK
                streams.stdout.flush()
        except KVError as error:
            context.complain(f"{type(error).__name__}: {error.message}")
            status = exit_status(error)
        except (UsageError, EndpointError) as error:
            context.complain(str(error))
            status = ExitStatus.USAGE
        context.report_lost_instance()
    return status


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as every other command does, in the shell too."""

    def error(self, message: str) -> NoReturn:
        self.exit(ExitStatus.USAGE, f"kv-client: {message}\n{self.format_usage()}")

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        # argparse passes over what the stream raises: on a full disk, help would be a success.
        (file or sys.stderr).write(message)


class CommandLine(NamedTuple):
    """What reads a command line: the whole of it, and each command's part by its name."""

    parser: argparse.ArgumentParser
    commands: Mapping[str, argparse.ArgumentParser]


@cache
def command_line(*, in_shell: bool = False) -> CommandLine:
    """Return what reads kv-client's command line, or a line in its shell."""
    parser = _Parser(
        prog="" if in_shell else "kv-client",
        usage="COMMAND …" if in_shell else "kv-client [OPTION…] COMMAND …",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_options(parser, command=False)
    if not in_shell:
        parser.add_argument("--version", action="version", version=f"kv-client {__version__}")
        parser.set_defaults(run=commands.shell)
    found = parser.add_subparsers(
        metavar="COMMAND", title="commands", required=in_shell, prog=parser.prog
    )

    def add(
        run: Callable[..., ExitStatus | None], name: str, about: str, *aliases: str
    ) -> argparse.ArgumentParser:
        command = found.add_parser(
            name, aliases=aliases, help=about, description=f"{name}: {about}.", allow_abbrev=False
        )
        _add_options(command, command=True)
        command.set_defaults(run=run)
        return command

    _add_commands(add)
    if not in_shell:
        _add_programs(add)
    return CommandLine(parser, found.choices)


def _add_options(parser: argparse.ArgumentParser, *, command: bool) -> None:
    """Add the options of every command: to the program, which shows them, or to a command."""
    group = parser.add_argument_group("options of every command")

    def add(name: str, about: str, **how: Any) -> None:
        # Behind the command, where they may stand too, they must not undo those before it.
        how["default"] = argparse.SUPPRESS if command else how.get("default")
        group.add_argument(name, help=argparse.SUPPRESS if command else about, **how)

    add("--endpoint", "where the store is", metavar="URL")
    add("--profile", "the profile that says where", metavar="NAME")
    add("--json", "print JSON, an object a line", action="store_true", default=False)
    add("--timeout", "for the whole command, retries included", metavar="SECONDS", type=_seconds)
    add("--retries", "how often to send again what is safe to", metavar="N", type=_count)
    add("--region", "the AWS region", metavar="REGION")
    add("--aws-profile", "the AWS configuration's profile", metavar="NAME")


def _add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    command = add(commands.set_, "set", "make a key that is not there")
    _add_key(command)
    _add_value(command)
    command.add_argument("--ttl", metavar="S", type=_whole, help="seconds to live")

    command = add(commands.get, "get", "print the value of a key")
    _add_key(command)
    command.add_argument("--raw", action="store_true", help="without a newline after it")

    command = add(commands.put, "put", "change the value of a key")
    _add_key(command)
    _add_value(command)
    command.add_argument(
        "--ttl",
        metavar="S",
        type=_whole_or_none,
        default=...,
        help="seconds to live; none: for ever; without it the expiry stays",
    )
    command.add_argument("--create", action="store_true", help="make the key where it is not there")
    command.add_argument("--if-match", metavar="ETAG", help="only where the key has this etag")

    command = add(commands.del_, "del", "delete keys")
    command.add_argument("keys", metavar="KEY", nargs="+")
    command.add_argument("--if-match", metavar="ETAG", help="only where the key has this etag")

    command = add(commands.getall, "getall", "print all keys and values, in key order", "get-all")
    command.add_argument(
        "prefix", metavar="PREFIX", nargs="?", default="", help="only keys that begin so"
    )
    command.add_argument("--keys-only", action="store_true", help="without the values")

    for run, name, about in (
        (commands.subs, "subs", "subscribe to a key's changes"),
        (commands.unsubs, "unsubs", "end the subscription to a key"),
    ):
        command = add(run, name, about)
        _add_key(command)
        _add_subscriber(command)
    add(commands.suball, "suball", "print the keys that are subscribed to")

    command = add(commands.incr, "incr", "add to a number, and print it")
    _add_key(command)
    command.add_argument("by", metavar="N", nargs="?", type=_whole, default=1, help="1 if left out")

    command = add(commands.watch, "watch", "print the changes of subscribed keys, as they happen")
    command.add_argument("keys", metavar="KEY", nargs="*", help="only these")
    command.add_argument("--since", metavar="CURSOR", help="where an earlier watch began or ended")
    command.add_argument(
        "--interval", metavar="S", type=_seconds, default=1.0, help="how often to ask; default: 1"
    )
    command.add_argument(
        "--exec",
        metavar="CMD",
        help="run it for each change: JSON on stdin; KV_KEY, KV_OP, KV_VERSION in the environment",
    )

    command = add(commands.export, "export", "print all records as JSON, one a line")
    command.add_argument("prefix", metavar="PREFIX", nargs="?", default="", help="only such keys")

    command = add(commands.import_, "import", "bring in what export printed")
    command.add_argument("file", metavar="FILE", help="- is stdin")
    command.add_argument(
        "--mode",
        choices=["set", "put", "replace"],
        default="replace",
        help="make missing keys, change existing ones, or either (the default)",
    )
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")

    command = add(commands.copy, "copy", "copy one store into another, and compare them")
    command.add_argument("source", metavar="FROM", help="the endpoint to copy from")
    command.add_argument("target", metavar="TO", help="the endpoint to copy to")

    add(commands.status, "status", "print what the store says of itself")
    _add_config(add(commands.config_show, "config", "show and set the profiles"))


def _add_programs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add what runs until it is ended."""
    command = add(commands.serve, "serve", "serve the endpoint (default: local://) as HTTP")
    command.add_argument("--host", metavar="H", default="127.0.0.1", help="default: 127.0.0.1")
    command.add_argument(
        "--port", metavar="P", type=_count, default=3000, help="default: 3000; 0: any that is free"
    )
    command.add_argument(
        "--let-anyone-in",
        action="store_true",
        help="listen where other machines reach it: whoever does may read and change every key",
    )

    command = add(commands.completion, "completion", "print a completion script")
    command.add_argument("shell", choices=["bash", "zsh", "fish"])

    add(commands.shell, "shell", "read commands from the terminal, or from stdin")


def _add_config(config: argparse.ArgumentParser) -> None:
    found = config.add_subparsers(metavar="ACTION", required=True, prog=config.prog)

    def add(run: Callable[..., None], name: str, about: str) -> argparse.ArgumentParser:
        action = found.add_parser(name, help=about, allow_abbrev=False)
        _add_options(action, command=True)
        action.set_defaults(run=run)
        return action

    add(commands.config_show, "show", "print the profiles and their endpoints")
    change = add(commands.config_set, "set", "keep an endpoint under a profile's name")
    change.add_argument("profile_name", metavar="PROFILE")
    change.add_argument("setting", choices=["endpoint"], metavar="endpoint")
    change.add_argument("url", metavar="URL")
    add(commands.config_path, "path", "print where they are kept")


def _add_key(command: argparse.ArgumentParser) -> None:
    command.add_argument("key", metavar="KEY")


def _add_subscriber(command: argparse.ArgumentParser) -> None:
    who = command.add_argument_group(
        "who is told",
        "through the SNS topic that status names, with your own AWS credentials",
    ).add_mutually_exclusive_group()
    for protocol, (metavar, _) in PROTOCOLS.items():
        parse = partial(_subscriber, protocol)
        who.add_argument(f"--{protocol}", metavar=metavar, type=parse, dest="subscriber")


def _add_value(command: argparse.ArgumentParser) -> None:
    command.add_argument("value", metavar="VALUE", help="text; - reads stdin, @FILE a file")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--json-value", action="store_true", help="VALUE is JSON")
    how.add_argument("--literal", action="store_true", help="take - and @… as text")


def _subscriber(protocol: str, endpoint: str) -> Subscriber:
    try:
        return Subscriber.parse(protocol, endpoint)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _whole(text: str) -> int:
    if not re.fullmatch("[+-]?[0-9]{1,30}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _whole_or_none(text: str) -> int | None:
    return None if text == "none" else _whole(text)


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
