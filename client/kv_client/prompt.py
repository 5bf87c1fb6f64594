"""The shell's prompt: history, and completion of commands, options, keys and profiles."""

import argparse
import re
import shlex
from collections.abc import Iterable, Iterator
from itertools import islice

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from kv_client.cli import command_line
from kv_client.config import profiles, state_folder
from kv_client.context import Context
from kv_client.errors import EndpointError, KVError

_MOST_KEYS = 100
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.?|'[^']*+'?|"(?:[^"\\]|\\.)*+"?)++""")


def typed_lines(context: Context) -> Iterator[str]:
    """Yield the lines that the user types, until Ctrl-D; Ctrl-C drops the line."""
    session: PromptSession[str] = PromptSession(
        "kv> ",
        history=_history(),
        completer=_Completer(context),
        complete_in_thread=True,
        # Completing keys asks the store: with Tab, not with every character.
        complete_while_typing=False,
    )
    context.tell(f"the store is {context.endpoint}; help lists the commands, Ctrl-D ends")
    while True:
        try:
            yield session.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _history() -> History:
    """Return the lines typed earlier. Values from files and stdin were never part of a line."""
    try:
        file = state_folder() / "history"
        # Lines may hold values that are nobody else's business.
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))


class _Completer(Completer):
    """Completes the last word of a line from the parser that will read the line."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._parser, self._commands = command_line(in_shell=True)

    def get_completions(self, document: Document, _: CompleteEvent) -> Iterable[Completion]:
        written = [found[0] for found in _WORD.finditer(document.text_before_cursor)]
        if not written or document.text_before_cursor[-1].isspace():
            written.append("")
        *before, word = map(_plain, written)
        for candidate in self._candidates(before, word):
            if candidate.startswith(word):
                yield Completion(shlex.quote(candidate), -len(written[-1]), display=candidate)

    def _candidates(self, before: list[str], word: str) -> Iterable[str]:
        place = _Place(self._parser)
        for each in before:
            place.pass_over(each)
        if place.option:
            return self._values(place.option, word)
        if word.startswith("-"):
            return sorted(name for name in place.options if name.startswith("--"))
        if place.parser is self._parser:
            # A word that is none of the commands ends it.
            return () if place.operands else self._commands
        return place.subcommands or self._values(place.operand, word)

    def _values(self, action: argparse.Action | None, word: str) -> Iterable[str]:
        if action is None:
            return ()
        if action.choices:
            return map(str, action.choices)
        if action.metavar == "COMMAND":
            return self._commands
        if action.metavar in ("KEY", "PREFIX"):
            return self._keys(word)
        return _profiles() if action.dest in ("profile", "profile_name") else ()

    def _keys(self, prefix: str) -> list[str]:
        try:
            records = self._context.client.getall(prefix, page_size=_MOST_KEYS)
            return [record.key for record in islice(records, _MOST_KEYS)]
        except (KVError, EndpointError):
            # A store that does not answer now completes nothing; the command will say why.
            return []


class _Place:
    """Where in a command line its next word would be.

    Attributes:
        parser: What reads on from here.
        option: The option that takes the next word as its value.
        operands: How many operands of the parser stand before.
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser
        self.option: argparse.Action | None = None
        self.operands = 0

    @property
    def _actions(self) -> list[argparse.Action]:
        # argparse has no public way to ask; shtab, which writes the scripts, takes this one too.
        return self.parser._actions  # noqa: SLF001

    @property
    def options(self) -> dict[str, argparse.Action]:
        return {name: action for action in self._actions for name in action.option_strings}

    @property
    def subcommands(self) -> dict[str, argparse.ArgumentParser]:
        choices = [action.choices for action in self._actions if isinstance(action.choices, dict)]
        return choices[0] if choices else {}

    @property
    def operand(self) -> argparse.Action | None:
        """The operand that the next word is; the last one may stand for several."""
        known = [action for action in self._actions if not action.option_strings]
        if self.operands < len(known):
            return known[self.operands]
        return known[-1] if known and known[-1].nargs in ("*", "+") else None

    def pass_over(self, word: str) -> None:
        if self.option:
            self.option = None
        elif word.startswith("-"):
            option = self.options.get(word)
            self.option = option if option and option.nargs is None else None
        elif word in self.subcommands:
            self.parser = self.subcommands[word]
        else:
            self.operands += 1


def _plain(written: str) -> str:
    """Return a word without its quotes, the last of which may still be missing."""
    for closing in ("", "'", '"'):
        try:
            return "".join(shlex.split(written + closing))
        except ValueError:
            continue
    return written


def _profiles() -> Iterable[str]:
    try:
        return profiles()
    except EndpointError:
        return ()
