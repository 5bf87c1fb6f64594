"""The commands by their names: what each one does, and which arguments it takes."""

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from kv_client import commands
from kv_client.context import Context, complaint
from kv_client.status import ExitStatus
from kv_client.subscriber import PROTOCOLS, Subscriber
from kv_client.values import LONGEST_TTL

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


# More than a timer of the operating system takes is no use to anybody.
_MOST_SECONDS = 1_000_000
_HIGHEST_PORT = 65_535
_LARGEST = 2**63 - 1


class Parser(argparse.ArgumentParser):
    """Says what is wrong as every other command does, in the shell too.

    Attributes:
        hint: What helps where words are missing, or too many.
    """

    hint = ""

    def error(self, message: str) -> NoReturn:
        about_one_argument = message.startswith("argument ")
        hint = f" ({self.hint})" if self.hint and not about_one_argument else ""
        text = complaint(f"{message}{hint}", sys.stderr)
        self.exit(ExitStatus.USAGE, f"{text}\n{self.format_usage()}")

    def parse_known_args(  # type: ignore[override]
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            # Here and not in the program's parser, which would show its own usage.
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.metavar == "COMMAND" and action.choices and value not in action.choices:
            raise argparse.ArgumentError(None, no_such_command(value, action.choices))
        super()._check_value(action, value)

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
        in_shell: Whether the shell has it.
        outside: Whether the program has it outside the shell.
    """

    run: Callable[[Context, argparse.Namespace], ExitStatus | None]
    about: str
    add_arguments: Callable[[Parser], Any]
    aliases: tuple[str, ...] = ()
    in_shell: bool = True
    outside: bool = True


class Option(NamedTuple):
    """An option of every command.

    Attributes:
        about: What it says.
        metavar: What stands for its value in the usage; None where it takes none.
        parse: What makes the value of its text.
    """

    about: str
    metavar: str | None
    parse: Callable[[str], Any] = str


def _set(command: Parser) -> None:
    _key(command)
    _value(command)
    command.add_argument("--ttl", metavar="S", type=_ttl, help="seconds to live")


def _get(command: Parser) -> None:
    _key(command)
    command.add_argument("--raw", action="store_true", help="without a newline after it")


def _put(command: Parser) -> None:
    _key(command)
    _value(command)
    command.add_argument(
        "--ttl",
        metavar="S",
        type=_ttl_or_none,
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
    for protocol, (metavar, what, _) in PROTOCOLS.items():
        parse = partial(_subscriber, protocol)
        who.add_argument(f"--{protocol}", metavar=metavar, type=parse, dest="subscriber", help=what)


def _incr(command: Parser) -> None:
    _key(command)
    command.add_argument(
        "by", metavar="N", nargs="?", type=_number, default=1, help="1 if left out"
    )


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


def _help(command: Parser) -> None:
    command.add_argument("name", metavar="COMMAND", nargs="?", help="only this one")


def _nothing(_: Parser) -> None:
    """Add no argument."""


def _key(command: Parser) -> None:
    command.add_argument("key", metavar="KEY")


def _prefix(command: Parser) -> None:
    command.add_argument("prefix", metavar="PREFIX", nargs="?", default="", help="only such keys")


def _value(command: Parser) -> None:
    command.add_argument("value", metavar="VALUE", help="text; - reads stdin, @FILE a file")
    command.hint = "a value with spaces is quoted, one that begins with a dash goes behind --"
    how = command.add_mutually_exclusive_group()
    how.add_argument("--json-value", action="store_true", help="VALUE is JSON")
    how.add_argument("--literal", action="store_true", help="take - and @… as text")


def _if_match(command: Parser) -> None:
    command.add_argument(
        "--if-match", metavar="ETAG", type=_etag, help="only where the key has this etag"
    )


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
    "help": Command(commands.help_, "explain all commands, or one", _help),
    "exit": Command(commands.exit_, "end the shell", _nothing, ("quit",), outside=False),
}


def no_such_command(name: str, names: Iterable[str]) -> str:
    """Return what to say of a command that is none of those."""
    from difflib import get_close_matches

    nearest = get_close_matches(name, names, 1)
    hint = f"is it {nearest[0]}?" if nearest else "help lists them"
    return f"there is no command {name!r}; {hint}"


@cache
def options(*, of_commands: bool) -> Parser:
    """Return the options of every command: the program's, which help shows, or the commands'."""
    parser = Parser(add_help=False)
    group = parser.add_argument_group("options of every command")

    for name, option in OPTIONS.items():
        how: dict[str, Any] = {"help": argparse.SUPPRESS if of_commands else option.about}
        if of_commands:
            # Behind the command, where they may stand too, they must not undo those before it.
            how["default"] = argparse.SUPPRESS
        if option.metavar is None:
            group.add_argument(name, action="store_true", **how)
        else:
            group.add_argument(name, metavar=option.metavar, type=option.parse, **how)
    return parser


def chosen(args: argparse.Namespace) -> argparse.Namespace:
    """Return the options of every command, out of all that a command line holds."""
    names = [name.removeprefix("--").replace("-", "_") for name in OPTIONS]
    return argparse.Namespace(**{name: getattr(args, name) for name in names})


def _subscriber(protocol: str, endpoint: str) -> Subscriber:
    try:
        return Subscriber.parse(protocol, endpoint)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _whole(text: str) -> int:
    if not re.fullmatch("[+-]?[0-9]{1,30}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _number(text: str) -> int:
    number = _whole(text)
    if not -_LARGEST - 1 <= number <= _LARGEST:
        raise argparse.ArgumentTypeError(f"{text} does not fit into 64 bits")
    return number


def _ttl(text: str) -> int:
    seconds = _whole(text)
    if not 1 <= seconds <= LONGEST_TTL:
        raise argparse.ArgumentTypeError(f"{text} is not 1 to {LONGEST_TTL} seconds")
    return seconds


def _ttl_or_none(text: str) -> int | None:
    return None if text == "none" else _ttl(text)


def _etag(text: str) -> str:
    if not text.strip('" '):
        raise argparse.ArgumentTypeError("an etag is not empty; * is any")
    return text


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


OPTIONS = {
    "--endpoint": Option("where the store is", "URL"),
    "--profile": Option("the profile that says where", "NAME"),
    "--json": Option("print JSON, an object a line", None),
    "--timeout": Option("for the whole command, retries included", "SECONDS", _seconds),
    "--retries": Option("how often to send again what is safe to", "N", _count),
    "--region": Option("the AWS region", "REGION"),
    "--aws-profile": Option("the AWS configuration's profile", "NAME"),
}
