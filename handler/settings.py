"""The only reader of the environment."""

import os
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, cast

_MIB = 1024 * 1024
_LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class SettingsError(Exception):
    """A setting is wrong or missing; the message names the variable and says what is right."""


class Settings(NamedTuple):
    """How this handler was told to run.

    Attributes:
        engine: What holds the records.
        table: The name of the DynamoDB table; empty with the memory engine.
        region: The AWS region that the table is in; may be empty with the memory engine.
        topic: The ARN of the SNS topic that changes are published to, or None.
        max_bytes: What the memory engine may hold, keys and values together.
    """

    engine: Literal["memory", "dynamodb"]
    table: str
    region: str
    topic: str | None
    max_bytes: int


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: A variable is wrong, or one that is needed is not there.
    """
    engine = environment.get("KV_ENGINE", "memory")
    if engine not in ("memory", "dynamodb"):
        raise SettingsError(f"KV_ENGINE is {engine!r}: it must be memory or dynamodb")
    table = environment.get("KV_TABLE", "")
    if engine == "dynamodb" and not table:
        raise SettingsError("KV_TABLE is missing: with KV_ENGINE=dynamodb it names the table")
    # Lambda sets the one, and boto3 reads the other.
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION", "")
    if engine == "dynamodb" and not region:
        raise SettingsError("AWS_REGION is missing: KV_ENGINE=dynamodb needs it to find the table")
    if engine == "dynamodb" and not re.fullmatch("[a-z0-9-]{1,63}", region):
        raise SettingsError(f"AWS_REGION is {region!r}: it must be a region, such as eu-central-1")
    endpoint = environment.get("AWS_ENDPOINT_URL")
    if endpoint and not re.fullmatch(r"https?://[^\s/?#]+(/\S*)?", endpoint):
        raise SettingsError(f"AWS_ENDPOINT_URL is {endpoint!r}: it must be an http(s):// URL")
    topic = environment.get("KV_TOPIC_ARN") or None
    if topic and not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]+(\.fifo)?", topic):
        raise SettingsError(f"KV_TOPIC_ARN is {topic!r}: it must be the ARN of an SNS topic")
    level = environment.get("POWERTOOLS_LOG_LEVEL", "INFO")
    if level.upper() not in _LOG_LEVELS:
        raise SettingsError(f"POWERTOOLS_LOG_LEVEL is {level!r}: it must be one of {_LOG_LEVELS}")
    return Settings(
        cast("Literal['memory', 'dynamodb']", engine),
        table,
        region,
        topic,
        _max_bytes(environment),
    )


def new_version(environment: Mapping[str, str] = os.environ) -> str:
    """Return the ARN of the function's version that the pre-traffic hook is to try.

    Raises:
        SettingsError: The environment names none.
    """
    version = environment.get("KV_NEW_VERSION")
    if not version:
        raise SettingsError("KV_NEW_VERSION is missing: it names the version that is tried")
    return version


def _max_bytes(environment: Mapping[str, str]) -> int:
    if (text := environment.get("KV_MAX_BYTES")) is not None:
        return _positive("KV_MAX_BYTES", text, "bytes")
    if (text := environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")) is not None:
        return _positive("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", text, "MiB") * _MIB // 2
    return 256 * _MIB


def _positive(variable: str, text: str, unit: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) == 0:
        raise SettingsError(f"{variable} is {text!r}: it must be a whole number of {unit} above 0")
    return int(text)
