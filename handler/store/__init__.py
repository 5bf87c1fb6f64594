"""The store: one small protocol, and the choice of the engine behind it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from handler.errors import KVError
from handler.model import Change, Page, Record, Status
from handler.operations import Operation
from handler.preconditions import Etags
from handler.settings import Settings

if TYPE_CHECKING:
    from handler.notify import Topic


class Store(Protocol):
    """The contract's verbs, each one atomic.

    Keys, values and numbers have been checked before they come here. ``if_match`` holds the ETags
    that the current state must be one of, or ANY; ``token`` is the request's Idempotency-Key: where
    the record's last write carried the same one, that record is answered and nothing is written.
    ``ttl`` is in seconds; None means for ever, unset leaves the expiry as it is.
    """

    @property
    def engine(self) -> str:
        """The engine's name, for ``KV-Engine``."""

    @property
    def instance(self) -> str:
        """What tells this copy of the records from others, for ``KV-Instance``; may be empty."""

    def set(
        self, key: str, value: msgspec.Raw, *, ttl: int | None = None, token: str | None = None
    ) -> Record:
        """Make a record. Raises KeyExists, StoreFull."""

    def get(self, key: str) -> Record:
        """Return a record. Raises KeyNotFound."""

    def warm(self, key: str, max_age: int) -> tuple[Record, int] | None:
        """Return a copy at hand and its age in seconds; None where none is that young."""

    def put(
        self,
        key: str,
        value: msgspec.Raw,
        *,
        ttl: int | None | UnsetType = UNSET,
        if_match: Etags | None = None,
        create: bool = False,
        token: str | None = None,
    ) -> Record:
        """Change a record's value; with ``create`` make it where it is not there.

        Raises KeyNotFound, VersionMismatch, StoreFull.
        """

    def increment(self, key: str, by: int, *, token: str | None = None) -> Record:
        """Add to a record's whole number. Raises NotACounter, StoreFull."""

    def delete(self, key: str, *, if_match: Etags | None = None) -> None:
        """Delete a record. Raises KeyNotFound, VersionMismatch."""

    def page(self, prefix: str, limit: int, cursor: str | None) -> Page[Record]:
        """Return records whose keys begin with ``prefix``, in key order. Raises InvalidCursor."""

    def subscribe(self, key: str) -> Record:
        """Have the key's changes reported. Raises KeyNotFound."""

    def unsubscribe(self, key: str) -> None:
        """No longer report the key's changes. Raises KeyNotFound, NotSubscribed."""

    def subscriptions(self, limit: int, cursor: str | None) -> Page[str]:
        """Return the subscribed keys, in key order. Raises InvalidCursor."""

    def changes(self, since: str | None, limit: int) -> tuple[list[Change], str]:
        """Return the changes after a cursor, oldest first, and the cursor after them.

        Without ``since`` there are none, and the cursor is that of now. Raises InvalidCursor.
        """

    def batch(
        self, operations: Sequence[Operation], *, atomic: bool
    ) -> list[Record | None | KVError]:
        """Run operations in order; return for each what it answered or why it could not be.

        With ``atomic``, where one cannot be, nothing is done, and the list ends with its error.
        """

    def status(self) -> Status:
        """Return what is known of the store."""


def open_store(settings: Settings) -> Store:
    """Open the store that the settings name; an engine is imported only when it is chosen.

    Raises:
        SettingsError: The settings name a table that the engine can't work with.
    """
    if settings.engine == "dynamodb":
        from handler.store.dynamodb.engine import DynamoStore
        from handler.store.dynamodb.table import Table

        return DynamoStore(Table(settings.table, settings.region), settings.topic)
    from handler.store.memory.engine import MemoryStore

    return MemoryStore(settings.max_bytes, topic=open_topic(settings))


def open_topic(settings: Settings) -> "Topic | None":
    """Open the topic that the settings name, if any; only then are AWS's libraries imported."""
    if settings.topic is None:
        return None
    from handler.notify import Topic

    return Topic(settings.topic)
