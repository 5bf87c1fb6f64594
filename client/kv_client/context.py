"""What a command works with: its streams, its options, and the client for its endpoint."""

import json
import os
from argparse import Namespace
from typing import TYPE_CHECKING, NamedTuple, Self, TextIO

if TYPE_CHECKING:
    from kv_client.api import KVClient

_RED = "31"


class Streams(NamedTuple):
    """Where a command reads and writes; stdin is None where something else reads it."""

    stdin: TextIO | None
    stdout: TextIO
    stderr: TextIO


class UsageError(Exception):
    """The command was told something that it can't do; the message says what would be right."""


class EndOfShell(Exception):
    """The shell was told to end."""


def complaint(message: str, stream: TextIO) -> str:
    """Return what a stream is to show of something that went wrong."""
    return coloured(f"kv-client: {message}", _RED, stream)


def coloured(text: str, colour: str, stream: TextIO) -> str:
    """Return text in an ANSI colour where the stream is a terminal and nobody objects.

    The objection is ``NO_COLOR``, https://no-color.org.
    """
    if os.environ.get("NO_COLOR") or not stream.isatty():
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


class Context:
    """The surroundings of one command.

    Args:
        streams: Where it reads and writes.
        options: The options of every command, as they were chosen for this one.
        shell: The shell's context, where the command was given in one.

    Attributes:
        done_in_part: Whether something was done that a failure from now on does not undo.
    """

    def __init__(
        self, streams: Streams, options: Namespace, shell: "Context | None" = None
    ) -> None:
        self.streams = streams
        self.done_in_part = False
        self.options = options
        self._shell = shell
        self._client: KVClient | None = None
        self._opened: list[KVClient] = []
        self._endpoint: str | None = None

    @property
    def in_shell(self) -> bool:
        """Whether the command was given in the shell."""
        return self._shell is not None

    @property
    def json(self) -> bool:
        """Whether to print JSON."""
        return bool(self.options.json)

    @property
    def endpoint(self) -> str:
        """The endpoint's URL."""
        if self._endpoint is None:
            self._endpoint = self.find_endpoint(default="http://127.0.0.1:3000")
        return self._endpoint

    def find_endpoint(self, default: str) -> str:
        """Return the URL of the option, the environment or the profile, else ``default``."""
        from kv_client.config import find_endpoint

        return find_endpoint(self.options.endpoint, self.options.profile) or default

    @property
    def client(self) -> "KVClient":
        """The client, opened when it is first needed: ``--help`` needs none."""
        if self._client is None:
            shell = self._shell
            shared = shell is not None and self.options == shell.options
            self._client = shell.client if shell and shared else self.open(self.endpoint)
        return self._client

    def open(self, endpoint: str) -> "KVClient":
        """Return a client for an endpoint, with this command's options."""
        from kv_client.api import DEFAULT_RETRIES, DEFAULT_TIMEOUT, KVClient

        retries = self.options.retries
        client = KVClient(
            endpoint,
            timeout=self.options.timeout or DEFAULT_TIMEOUT,
            retries=DEFAULT_RETRIES if retries is None else retries,
            region=self.options.region,
            aws_profile=self.options.aws_profile,
        )
        self._opened.append(client)
        return client

    def print(self, line: str) -> None:
        """Print a line of the result."""
        self.streams.stdout.write(line + "\n")

    def print_json(self, text: str) -> None:
        """Print JSON text on one line: line breaks stand only between tokens there."""
        self.print(text.replace("\r", " ").replace("\n", " "))

    def print_object(self, content: object) -> None:
        """Print an object of this program's own as JSON."""
        self.print(json.dumps(content, ensure_ascii=False))

    def tell(self, message: str) -> None:
        """Say something that is not a result."""
        self.streams.stderr.write(f"kv-client: {message}\n")

    def complain(self, message: str) -> None:
        """Say what went wrong."""
        self.streams.stderr.write(complaint(message, self.streams.stderr) + "\n")

    def report_lost_instance(self) -> None:
        """Say so where a memory engine's instance is not the one that was seen last."""
        if self._client is not None:
            self._report_lost_instance(self._client)
        for client in self._opened:
            self._report_lost_instance(client)

    def _report_lost_instance(self, client: "KVClient") -> None:
        url, instance = client.connection.endpoint.url, client.connection.instance
        if not instance or url.startswith("local:"):
            return
        from kv_client.config import remember_instance

        if last := remember_instance(url, instance):
            self.tell(
                f"the store behind {url} is another instance than last time ({last}): "
                "what that one held is gone"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._opened:
            client.close()
