"""Import: brings lines of JSON into a store.

It looks a batch of lines up first, and then writes only what differs: what is true already
is left alone, so an import that was interrupted can be run again.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from kv_client import fastjson
from kv_client.connection import back_off
from kv_client.errors import (
    EngineUnavailable,
    KeyExists,
    KeyNotFound,
    KVError,
    NotSubscribed,
    ResponseTooLarge,
    named,
)
from kv_client.lines import LONGEST_LIFE, Line, State, parse_line, same_state, state_of

if TYPE_CHECKING:
    from kv_client.api import KVClient

_BATCH_OPERATIONS = 1000
# Escaped inside an event's JSON a batch's text may double, and Lambda carries 6 MB.
_BATCH_BYTES = 2 * 1024 * 1024


class Mode(StrEnum):
    """What an import may do: make missing keys, change existing ones, or either."""

    SET = "set"
    PUT = "put"
    REPLACE = "replace"


class Outcome(StrEnum):
    """What became of a line, or would."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


class _Plan(NamedTuple):
    """What is to become of a line, and the operations that this takes."""

    line: Line
    outcome: Outcome
    operations: list[str]


# A subscription that was made answers the record, which may not fit in; one that a try whose
# answer was lost ended is no more.
_DONE = (ResponseTooLarge, NotSubscribed)


class _Written:
    """What a dry run would have written, on disk: a file may hold a key twice, and be long."""

    def __init__(self) -> None:
        import sqlite3

        # Without a name it is a temporary file of SQLite's own.
        self._states = sqlite3.connect("")
        self._states.execute("CREATE TABLE states (key PRIMARY KEY, value, expires_at, subscribed)")

    def keep(self, line: Line, before: State | None) -> None:
        """Keep what a line would make of the state that was before."""
        wanted = line.state
        subscribed = wanted.subscribed
        if subscribed is None:
            subscribed = bool(before and before.subscribed)
        expires_at = wanted.expires_at and wanted.expires_at.isoformat()
        row = (line.key, wanted.value, expires_at, subscribed)
        self._states.execute("REPLACE INTO states VALUES (?, ?, ?, ?)", row)

    def find(self, line: Line, found: State | KVError | None) -> State | KVError | None:
        """Return what would have been written under a line's key, or else what was found there."""
        query = "SELECT value, expires_at, subscribed FROM states WHERE key = ?"
        row = self._states.execute(query, (line.key,)).fetchone()
        if row is None:
            return found
        value, expires_at, subscribed = row
        return State(value, expires_at and datetime.fromisoformat(expires_at), bool(subscribed))

    def close(self) -> None:
        self._states.close()


class Import:
    """Brings records into a store.

    Args:
        client: What asks the store.
        mode: What may be done.
        dry_run: Whether to write nothing.
        complain: Called with the number of a line, and what is wrong with it.
        same: Tells whether a state that was found is the one that is wanted.

    Attributes:
        counts: How many lines came to which outcome.
    """

    def __init__(
        self,
        client: "KVClient",
        mode: Mode,
        *,
        dry_run: bool,
        complain: Callable[[int, Exception], object],
        same: Callable[[State, State], bool] = same_state,
    ) -> None:
        self._client = client
        self._mode = mode
        self._complain = complain
        self._same = same
        self._written = _Written() if dry_run else None
        self.counts = dict.fromkeys(Outcome, 0)

    @property
    def writes(self) -> int:
        """How many records were written."""
        return 0 if self._written else self.counts[Outcome.CREATED] + self.counts[Outcome.CHANGED]

    def run(self, lines: Iterable[tuple[int, bytes]]) -> None:
        """Bring in the records of numbered lines.

        Raises:
            KVError: The store did not answer. What was brought in until then stays.
        """
        try:
            for batch in _batches(self._parsed(lines)):
                self._bring_in(batch)
        finally:
            if self._written:
                self._written.close()

    def _parsed(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[Line]:
        for number, text in lines:
            try:
                line = parse_line(number, text)
            except (ValueError, KVError) as error:
                self._fail(number, error)
                continue
            if line.state.expires_at is not None and line.state.expires_at <= datetime.now(UTC):
                self.counts[Outcome.SKIPPED] += 1
            else:
                yield line

    def _bring_in(self, batch: list[Line]) -> None:
        plans: list[_Plan] = []
        for line, found in zip(batch, self._look_up(batch), strict=True):
            if isinstance(found, KVError):
                self._fail(line.number, found)
                continue
            plans.append(self._plan(line, found))
            if self._written and plans[-1].operations:
                self._written.keep(line, found)
        for part in _parts(plans):
            for plan, error in zip(part, self._carry_out(part), strict=True):
                self._settle(plan, error)

    def _plan(self, line: Line, found: State | None) -> _Plan:
        wanted = line.state
        if found is None:
            if self._mode is Mode.PUT:
                return _Plan(line, Outcome.SKIPPED, [])
            needed = [_put(line, create=True) if self._mode is Mode.REPLACE else _set(line)]
            return _Plan(line, Outcome.CREATED, needed + _subscription(line, subscribed=False))
        needed = (
            [] if self._same(wanted, found) else [_put(line, create=self._mode is Mode.REPLACE)]
        )
        needed += _subscription(line, subscribed=bool(found.subscribed))
        if not needed:
            return _Plan(line, Outcome.UNCHANGED, [])
        if self._mode is Mode.SET:
            return _Plan(line, Outcome.SKIPPED, [])
        return _Plan(line, Outcome.CHANGED, needed)

    def _settle(self, plan: _Plan, error: KVError | None) -> None:
        """Count what became of a line."""
        if error is None:
            self.counts[plan.outcome] += 1
        elif isinstance(error, KeyExists | KeyNotFound) and self._mode is not Mode.REPLACE:
            self.counts[self._outcome_after_all(plan)] += 1
        else:
            self._fail(plan.line.number, error)

    def _look_up(self, batch: list[Line]) -> list[State | KVError | None]:
        """Return what the store holds for each line: None where nothing, an error if unknown."""
        answers = self._ask([[_operation("get", line)] for line in batch])
        found = [self._found(line, answer) for line, [answer] in zip(batch, answers, strict=True)]
        if self._written:
            return [self._written.find(*each) for each in zip(batch, found, strict=True)]
        return found

    def _outcome_after_all(self, plan: _Plan) -> Outcome:
        """Return what became of a line whose key was made or deleted since it was looked up.

        It may have been this import itself, in a try whose answer was lost.
        """
        [found] = self._look_up([plan.line])
        done = isinstance(found, State) and self._same(plan.line.state, found)
        return plan.outcome if done else Outcome.SKIPPED

    def _found(self, line: Line, answer: bytes | KVError) -> State | KVError | None:
        if isinstance(answer, ResponseTooLarge):
            try:
                answer = self._client.get(line.key).text.encode()
            except KeyNotFound:
                return None
        if isinstance(answer, KeyNotFound):
            return None
        if isinstance(answer, KVError):
            return answer
        with self._client.understood():
            return state_of(fastjson.members(answer))

    def _carry_out(self, plans: list[_Plan]) -> Iterator[KVError | None]:
        """Do what the plans say, and yield for each the failure that tells what became of it."""
        if self._written:
            yield from [None] * len(plans)
            return
        for answers in self._ask([plan.operations for plan in plans]):
            failures = [each for each in answers if isinstance(each, KVError)]
            real = [each for each in failures if not isinstance(each, _DONE)]
            # A key that is there may have been made by a try of which only a part was done.
            yield min(real, key=lambda each: not isinstance(each, EngineUnavailable), default=None)

    def _ask(self, groups: list[list[str]]) -> list[list[bytes | KVError]]:
        """Return each operation's record as JSON, or its error.

        Args:
            groups: Operations, of which those of one key are a group. Doing them twice does no
                harm, so a group that the engine could not do just now is sent again: all of it,
                since its later operations build on the earlier ones.
        """
        answers = self._send(groups)
        for attempt in range(self._client.connection.retries):
            again = [number for number, group in enumerate(answers) if _is_to_be_repeated(group)]
            if not again:
                break
            time.sleep(back_off(attempt))
            for number, group in zip(again, self._send([groups[n] for n in again]), strict=True):
                answers[number] = group
        return answers

    def _send(self, groups: list[list[str]]) -> list[list[bytes | KVError]]:
        operations = list(chain.from_iterable(groups))
        if not operations:
            return [[] for _ in groups]
        body = f'{{"operations":[{",".join(operations)}]}}'
        text = self._client.connection.send("POST", "/batch", body=body).text.encode()
        with self._client.understood():
            results = fastjson.elements(fastjson.members(text)["results"])
            found = [_answer(result) for _, result in zip(operations, results, strict=True)]
        answers = iter(found)
        return [list(islice(answers, len(group))) for group in groups]

    def _fail(self, number: int, error: Exception) -> None:
        self.counts[Outcome.FAILED] += 1
        self._complain(number, error)


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield lines in batches that fit into a request, no key twice in one."""
    batch: dict[str, Line] = {}
    size = 0
    for line in lines:
        if (
            len(batch) == _BATCH_OPERATIONS
            or size + len(line.text) > _BATCH_BYTES
            or line.key in batch
        ):
            yield list(batch.values())
            batch, size = {}, 0
        batch[line.key] = line
        size += len(line.text)
    if batch:
        yield list(batch.values())


def _parts(plans: list[_Plan]) -> Iterator[list[_Plan]]:
    """Yield plans in parts that fit into a request; one may need a write and a subscription."""
    part: list[_Plan] = []
    size = 0
    for plan in plans:
        if size + len(plan.operations) > _BATCH_OPERATIONS:
            yield part
            part, size = [], 0
        part.append(plan)
        size += len(plan.operations)
    yield part


def _is_to_be_repeated(answers: list[bytes | KVError]) -> bool:
    return any(isinstance(each, EngineUnavailable) for each in answers)


def _answer(result: bytes) -> bytes | KVError:
    fields = fastjson.members(result)
    if "error" not in fields:
        return fields["record"]
    error = named(fastjson.value(fields["error"])) or KVError
    return error(fastjson.value(fields["message"]))


def _set(line: Line) -> str:
    ttl = fastjson.text(_ttl(line.state))
    return _operation("set", line, f'"value":{line.state.value.decode()},"ttl":{ttl}')


def _put(line: Line, *, create: bool) -> str:
    ttl = fastjson.text(_ttl(line.state))
    rest = f'"value":{line.state.value.decode()},"ttl":{ttl},"create":{fastjson.text(create)}'
    return _operation("put", line, rest)


def _subscription(line: Line, *, subscribed: bool) -> list[str]:
    if line.state.subscribed in (None, subscribed):
        return []
    return [_operation("subs" if line.state.subscribed else "unsubs", line)]


def _operation(op: str, line: Line, rest: str = "") -> str:
    return f'{{"op":"{op}","key":{fastjson.text(line.key)}{"," if rest else ""}{rest}}}'


def _ttl(state: State) -> int | None:
    """Return what is left of a record's time to live, in whole seconds."""
    if state.expires_at is None:
        return None
    left = min(state.expires_at - datetime.now(UTC), LONGEST_LIFE)
    return max(1, math.ceil(left.total_seconds()))
