"""The table: every request to DynamoDB goes through here, with its retries and its errors."""

import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from handler.errors import EngineUnavailable
from handler.settings import SettingsError
from handler.store.dynamodb.check import check_keys, code_of, is_refusal, refusal
from handler.store.dynamodb.items import primary_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from handler.store.dynamodb.items import Item
    from handler.store.dynamodb.writes import Write

# Lambda logs either stream; with local:// stdout is the command's own.
logger = Logger(service="kv-store", stream=sys.stderr)

_CONNECT_SECONDS = 1
_READ_SECONDS = 3
# Seconds that one verb may take: well under the function's timeout.
_BUDGET = 8.0
_ATTEMPTS = 4
_FIRST_PAUSE = 0.05
MOST_KEYS = 100

# With these DynamoDB says that it did nothing.
_REFUSED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
# With these it does not say whether it did; their status tells the same, where there is one.
_BROKEN = frozenset({"InternalServerError", "ServiceUnavailable"})
_OUT_OF_REACH = "DynamoDB is throttled or out of reach for now; try again"
_NO_TIME = "no time was left for it; send it again"
NOT_KNOWN = "whether this was done is not known: the answer to it got lost"


class ConditionFailed(Exception):
    """The item was not as the write's condition asks; nothing was written."""

    def __init__(self, item: "Item | None") -> None:
        super().__init__()
        self.item = item


class TransactionRefused(Exception):
    """Another write came between, so nothing of the transaction was written."""


class OutcomeUnknown(Exception):
    """No answer came to a write: it may have been done, or not."""


class Table:
    """One DynamoDB table.

    botocore's own retries are off: they would send a write again whose answer was lost. Here a
    write is sent again only where the one before was certainly not done.

    Args:
        name: The table's name.
        region: The region it is in.
        sleep: Pauses between two attempts.
        timer: What the budget of a verb is measured with, in seconds.
    """

    def __init__(
        self,
        name: str,
        region: str,
        sleep: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._sleep = sleep
        self._timer = timer
        self._deadline = self._limit = math.inf
        self._given_up: str | None = None
        self.client: DynamoDBClient = boto3.client(
            "dynamodb",
            region_name=region,
            config=Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": 1},
            ),
        )
        self._identity: str | None = None
        # Else the check comes with the first request that finds DynamoDB in reach.
        with suppress(EngineUnavailable):
            self.begin()

    @property
    def identity(self) -> str:
        """What tells this table from all others."""
        return self._identity or ""

    def begin(self) -> None:
        """Start the time that the requests from here on may take together.

        Raises:
            EngineUnavailable: The table was given up.
            SettingsError: The table is not there, is another one, or may not be read.
        """
        if self._given_up is not None:
            raise EngineUnavailable(self._given_up)
        self._deadline = min(self._timer() + _BUDGET, self._limit)
        if self._identity is None:
            self._identity = self._checked()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound the time of all the verbs in the block together."""
        self._limit = self._timer() + seconds
        try:
            yield
        finally:
            self._limit = math.inf
            self._given_up = None

    def give_up(self, reason: str) -> None:
        """Have no verb begin any more, up to the end of the block; the first reason counts."""
        self._given_up = self._given_up or reason

    @property
    def has_time(self) -> bool:
        """Whether one more request fits into the budget."""
        return self._timer() + _CONNECT_SECONDS + _READ_SECONDS <= self._deadline

    def read(self, key: str) -> "Item | None":
        answer = self._call(
            self.client.get_item, TableName=self.name, Key=primary_key(key), ConsistentRead=True
        )
        item: Item | None = answer.get("Item")
        return item

    def read_many(self, keys: Sequence[str]) -> "Iterator[Item]":
        """Yield the items that are there, in any order, a hundred keys a request."""
        distinct = list(dict.fromkeys(keys))
        for start in range(0, len(distinct), MOST_KEYS):
            wanted = [primary_key(key) for key in distinct[start : start + MOST_KEYS]]
            attempt = 0
            while wanted:
                request = {self.name: {"Keys": wanted, "ConsistentRead": True}}
                answer = self._call(self.client.batch_get_item, RequestItems=request)
                items = answer["Responses"].get(self.name, [])
                yield from items
                wanted = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
                # What is left over for its size may follow at once, what was throttled may not.
                attempt = 0 if items else attempt + 1
                if wanted and not items:
                    self.pause(attempt)

    def query(self, start: "Item | None", **arguments: Any) -> "tuple[list[Item], Item | None]":
        """Return a page of a Query, and where the next one starts."""
        if start is not None:
            arguments["ExclusiveStartKey"] = start
        answer = self._call(self.client.query, TableName=self.name, **arguments)
        return answer["Items"], answer.get("LastEvaluatedKey")

    def update(self, write: "Write") -> "Item":
        """Do a write and return the item as it left it.

        Raises:
            ConditionFailed: The item was not as the condition asks.
            OutcomeUnknown: It may have been done, or not.
        """
        try:
            if write.makes_item:
                return self._put(write)
            answer = self._call(
                self.client.update_item,
                at_most_once=True,
                TableName=self.name,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **write.arguments(),
            )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            # Without an item there was none, or it was not brought: some emulators never do.
            brought = cast("Item | None", error.response.get("Item"))
            raise ConditionFailed(brought or self.read(write.key)) from error
        item: Item = answer["Attributes"]
        return item

    def _put(self, write: "Write") -> "Item":
        item = write.item()
        self._call(
            self.client.put_item,
            at_most_once=True,
            TableName=self.name,
            Item=item,
            ConditionExpression=write.condition,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return item

    def transact(self, actions: "Sequence[Mapping[str, Any]]", token: str) -> None:
        """Do all the actions or none; one token is done once, however often it is sent.

        Raises:
            TransactionRefused: A condition failed, or another write was under way.
            EngineUnavailable: Nothing was done; or ``NOT_KNOWN``, as no answer came.
        """
        try:
            self._transact(actions, token, at_most_once=True)
        except OutcomeUnknown:
            try:
                self._transact(actions, token)
            except EngineUnavailable as error:
                raise EngineUnavailable(NOT_KNOWN) from error

    def _transact(
        self, actions: "Sequence[Mapping[str, Any]]", token: str, *, at_most_once: bool = False
    ) -> None:
        items = [
            {kind: {"TableName": self.name, **arguments} for kind, arguments in action.items()}
            for action in actions
        ]
        try:
            self._call(
                self.client.transact_write_items,
                at_most_once=at_most_once,
                TransactItems=items,
                ClientRequestToken=token,
            )
        except ClientError as error:
            if code_of(error) != "TransactionCanceledException":
                raise
            reasons = {reason.get("Code") for reason in error.response["CancellationReasons"]}
            if reasons & {"ConditionalCheckFailed", "TransactionConflict"}:
                raise TransactionRefused from error
            if reasons & {"ProvisionedThroughputExceeded", "ThrottlingError"}:
                raise EngineUnavailable(_OUT_OF_REACH) from error
            raise

    def pause(self, attempt: int) -> None:
        """Wait before another attempt, with jitter and longer each time.

        Raises:
            EngineUnavailable: The attempts, or the time, are used up.
        """
        if attempt >= _ATTEMPTS or not self.has_time:
            raise EngineUnavailable(_OUT_OF_REACH)
        self._sleep(random.uniform(0.5, 1) * _FIRST_PAUSE * 2**attempt)  # noqa: S311

    def _call(
        self, operation: Callable[..., Any], *, at_most_once: bool = False, **arguments: Any
    ) -> Any:
        """Send a request, again where it may succeed then."""
        if not self.has_time:
            raise EngineUnavailable(_NO_TIME)
        attempt = 0
        while True:
            try:
                return operation(**arguments)
            except (BotoCoreError, ClientError, ResponseParserError) as error:
                if not _may_pass(error):
                    self._look_into(error)
                    raise
                if at_most_once and not _was_not_done(error):
                    raise OutcomeUnknown from error
                attempt += 1
                try:
                    self.pause(attempt)
                except EngineUnavailable as unavailable:
                    raise unavailable from error

    def _look_into(self, error: Exception) -> None:
        """Report a table that is gone, or may no longer be used: no defect of the handler.

        Raises:
            EngineUnavailable: It is that; its message says what to look at.
        """
        # At the start it is the settings' matter.
        if self._identity is not None and is_refusal(error):
            reason = refusal(self.name, error)
            logger.error(reason)
            raise EngineUnavailable(reason) from error

    def _checked(self) -> str:
        try:
            table = self._call(self.client.describe_table, TableName=self.name)["Table"]
            check_keys(table)
            self.read("-")
        except (BotoCoreError, ClientError) as error:
            raise SettingsError(refusal(self.name, error)) from error
        return f"{table['TableArn']} {table.get('TableId')}"


def _may_pass(error: Exception) -> bool:
    """Tell whether the same request may succeed a moment later."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _REFUSED | _BROKEN or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(
        error,
        HTTPClientError | BotoConnectionError | CredentialRetrievalError | ResponseParserError,
    )


def _was_not_done(error: Exception) -> bool:
    if isinstance(error, ClientError):
        return code_of(error) in _REFUSED
    return isinstance(
        error, ConnectTimeoutError | CredentialRetrievalError | EndpointConnectionError
    )
