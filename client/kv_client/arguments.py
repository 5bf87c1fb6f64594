"""The commands by their names: what each one does, and which arguments it takes."""

import argparse
import math
import re
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from kv_client import commands
from kv_client.context import Context
from kv_client.status import ExitStatus
from kv_client.subscriber import PROTOCOLS, Subscriber

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


# More than a timer of the operating system takes is no use to anybody.
_MOST_SECONDS = 1_000_000
_HIGHEST_PORT = 65_535


class Parser(argparse.ArgumentParser):
    """Says what is wrong as every other command does, in the shell too."""

    def error(self, message: str) -> NoReturn:
        self.exit(ExitStatus.USAGE, f"kv-client: {message}\n{self.format_usage()}")

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        # argparse passes over what the stream raises: on a full disk, help would be a success.
        (file or sys.stderr).write(message)


class Command(NamedTuple):
    """A command of kv-client.

    Attributes:
        run: What runs it.
        about: What it does, in a few words.
        add_arguments: Adds its arguments to its parser.
        aliases: Its other names.
        in_shell: Whether the shell has it too.
    """

    run: Callable[[Context, argparse.Namespace], ExitStatus | None]
    about: str
    add_arguments: Callable[[Parser], Any]
    aliases: tuple[str, ...] = ()
    in_shell: bool = True


def _set(command: Parser) -> None:
    _key(command)
    _value(command)
    command.add_argument("--ttl", metavar="S", type=_whole, help="seconds to live")


def _get(command: Parser) -> None:
    _key(command)
    command.add_argument("--raw", action="store_true", help="without a newline after it")


def _put(command: Parser) -> None:
    _key(command)
    _value(command)
    command.add_argument(
        "--ttl",
        metavar="S",
        type=_whole_or_none,
        default=...,
        help="seconds to live; none: for ever; without it the expiry stays",
    )
    command.add_argument("--create", action="store_true", help="make the key where it is not there")
    _if_match(command)


def _del(command: Parser) -> None:
    command.add_argument("keys", metavar="KEY", nargs="+")
    _if_match(command)


def _getall(command: Parser) -> None:
    _prefix(command)
    command.add_argument("--keys-only", action="store_true", help="without the values")


def _subs(command: Parser) -> None:
    _key(command)
    who = command.add_argument_group(
        "who is told",
        "through the SNS topic that status names, with your own AWS credentials",
    ).add_mutually_exclusive_group()
    for protocol, (metavar, _) in PROTOCOLS.items():
        parse = partial(_subscriber, protocol)
        who.add_argument(f"--{protocol}", metavar=metavar, type=parse, dest="subscriber")


def _incr(command: Parser) -> None:
    _key(command)
    command.add_argument("by", metavar="N", nargs="?", type=_whole, default=1, help="1 if left out")


def _watch(command: Parser) -> None:
    command.add_argument("keys", metavar="KEY", nargs="*", help="only these")
    command.add_argument("--since", metavar="CURSOR", help="where an earlier watch began")
    command.add_argument(
        "--interval", metavar="S", type=_seconds, default=1.0, help="how often to ask; default: 1"
    )
    command.add_argument(
        "--exec",
        metavar="CMD",
        help="run it for each change: JSON on stdin; KV_KEY, KV_OP, KV_VERSION in the environment",
    )


def _import(command: Parser) -> None:
    command.add_argument("file", metavar="FILE", help="- is stdin")
    command.add_argument(
        "--mode",
        choices=["set", "put", "replace"],
        default="replace",
        help="make missing keys, change existing ones, or either (the default)",
    )
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")


def _copy(command: Parser) -> None:
    command.add_argument("source", metavar="FROM", help="the endpoint to copy from")
    command.add_argument("target", metavar="TO", help="the endpoint to copy to")


def _config(command: Parser) -> None:
    found = command.add_subparsers(metavar="ACTION", required=True, prog=command.prog)

    def add(run: Callable[..., None], name: str, about: str) -> Parser:
        action = found.add_parser(
            name, help=about, allow_abbrev=False, parents=[options(of_commands=True)]
        )
        action.set_defaults(run=run)
        return action

    add(commands.config_show, "show", "print the profiles and their endpoints")
    change = add(commands.config_set, "set", "keep an endpoint under a profile's name")
    change.add_argument("profile_name", metavar="PROFILE")
    change.add_argument("setting", choices=["endpoint"], metavar="endpoint")
    change.add_argument("url", metavar="URL")
    add(commands.config_path, "path", "print where they are kept")


def _serve(command: Parser) -> None:
    command.add_argument("--host", metavar="H", default="127.0.0.1", help="default: 127.0.0.1")
    command.add_argument(
        "--port", metavar="P", type=_port, default=3000, help="default: 3000; 0: any that is free"
    )
    command.add_argument(
        "--let-anyone-in",
        action="store_true",
        help="listen where other machines reach it: whoever does may read and change every key",
    )


def _completion(command: Parser) -> None:
    command.add_argument("shell", choices=["bash", "zsh", "fish"])


def _nothing(_: Parser) -> None:
    """Add no argument."""


def _key(command: Parser) -> None:
    command.add_argument("key", metavar="KEY")


def _prefix(command: Parser) -> None:
    command.add_argument("prefix", metavar="PREFIX", nargs="?", default="", help="only such keys")


def _value(command: Parser) -> None:
    command.add_argument("value", metavar="VALUE", help="text; - reads stdin, @FILE a file")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--json-value", action="store_true", help="VALUE is JSON")
    how.add_argument("--literal", action="store_true", help="take - and @… as text")


def _if_match(command: Parser) -> None:
    command.add_argument("--if-match", metavar="ETAG", help="only where the key has this etag")


COMMANDS = {
    "set": Command(commands.set_, "make a key that is not there", _set),
    "get": Command(commands.get, "print the value of a key", _get),
    "put": Command(commands.put, "change the value of a key", _put),
    "del": Command(commands.del_, "delete keys", _del),
    "getall": Command(
        commands.getall, "print all keys and values, in key order", _getall, ("get-all",)
    ),
    "subs": Command(commands.subs, "subscribe to a key's changes", _subs),
    "unsubs": Command(commands.unsubs, "end the subscription to a key", _subs),
    "suball": Command(commands.suball, "print the keys that are subscribed to", _nothing),
    "incr": Command(commands.incr, "add to a number, and print it", _incr),
    "watch": Command(
        commands.watch, "print the changes of subscribed keys, as they happen", _watch
    ),
    "export": Command(commands.export, "print all records as JSON, one a line", _prefix),
    "import": Command(commands.import_, "bring in what export printed", _import),
    "copy": Command(commands.copy, "copy one store into another, and compare them", _copy),
    "status": Command(commands.status, "print what the store says of itself", _nothing),
    "config": Command(commands.config_show, "show and set the profiles", _config),
    "serve": Command(commands.serve, "serve the endpoint (default: local://) as HTTP", _serve),
    "completion": Command(
        commands.completion, "print a completion script", _completion, in_shell=False
    ),
    "shell": Command(
        commands.shell, "read commands from the terminal, or from stdin", _nothing, in_shell=False
    ),
}


@cache
def options(*, of_commands: bool) -> Parser:
    """Return the options of every command: the program's, which help shows, or the commands'."""
    parser = Parser(add_help=False)
    group = parser.add_argument_group("options of every command")

    def add(name: str, about: str, **how: Any) -> None:
        # Behind the command, where they may stand too, they must not undo those before it.
        how["default"] = argparse.SUPPRESS if of_commands else how.get("default")
        group.add_argument(name, help=argparse.SUPPRESS if of_commands else about, **how)

    add("--endpoint", "where the store is", metavar="URL")
    add("--profile", "the profile that says where", metavar="NAME")
    add("--json", "print JSON, an object a line", action="store_true", default=False)
    add("--timeout", "for the whole command, retries included", metavar="SECONDS", type=_seconds)
    add("--retries", "how often to send again what is safe to", metavar="N", type=_count)
    add("--region", "the AWS region", metavar="REGION")
    add("--aws-profile", "the AWS configuration's profile", metavar="NAME")
    return parser


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


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to {_HIGHEST_PORT}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds above 0, up to {_MOST_SECONDS}"
        )
    return seconds
