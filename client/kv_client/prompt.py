"""The shell's prompt: history, and completion of commands, options and keys."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory

from kv_client.cli import command_line
from kv_client.config import state_folder
from kv_client.context import Context
from kv_client.errors import KVError

_MOST_KEYS = 100


def typed_lines(context: Context) -> Iterator[str]:
    """Yield the lines that the user types, until Ctrl-D; Ctrl-C drops the line."""
    session: PromptSession[str] = PromptSession(
        "kv> ",
        history=FileHistory(str(state_folder() / "history")),
        completer=_Completer(context),
        complete_in_thread=True,
    )
    context.tell(f"the store is {context.endpoint}; help lists the commands, Ctrl-D ends")
    while True:
        try:
            yield session.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


class _Completer(Completer):
    def __init__(self, context: Context) -> None:
        self._context = context
        self._commands = command_line(in_shell=True).commands

    def get_completions(self, document: Document, _: CompleteEvent) -> Iterable[Completion]:
        *before, word = document.text_before_cursor.lstrip().split(" ")
        for candidate in self._candidates(before, word):
            if candidate.startswith(word):
                yield Completion(candidate, start_position=-len(word))

    def _candidates(self, before: list[str], word: str) -> Iterable[str]:
        if not before or before == ["help"]:
            return [*self._commands, *([] if before else ["help", "exit"])]
        command = self._commands.get(before[0])
        if command is None:
            return []
        if word.startswith("-"):
            return sorted(set(re.findall(r"--[a-z-]+", command.format_help())))
        takes_key = re.search(r"KEY|PREFIX", command.format_usage())
        return self._keys(word) if takes_key else []

    def _keys(self, prefix: str) -> list[str]:
        try:
            records = self._context.client.getall(prefix, page_size=_MOST_KEYS)
            return [record.key for record in islice(records, _MOST_KEYS)]
        except KVError:
            # A store that does not answer now completes nothing; the command will say why.
            return []
