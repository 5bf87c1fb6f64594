"""The check at the start, whether the table is the one that the engine works with; and why not."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from handler.settings import SettingsError
from handler.store.dynamodb.items import table_definition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_dynamodb.type_defs import (
        AttributeDefinitionTypeDef,
        KeySchemaElementTypeDef,
        TableDescriptionTypeDef,
    )

# By the error's code, or by its type where no answer came.
_REFUSALS = {
    "ResourceNotFoundException": "there is no such table in this region",
    "AccessDeniedException": "the function's role may not read it",
    "ExpiredTokenException": "the AWS credentials have expired",
    "UnrecognizedClientException": "DynamoDB does not know the AWS credentials",
    "NoCredentialsError": "there are no AWS credentials to read it with",
}


def check_keys(table: "TableDescriptionTypeDef") -> None:
    """Check the keys of the table and of its indexes.

    Raises:
        SettingsError: They are others; the message says which would be right.
    """
    name = table["TableName"]
    expected = table_definition(name)
    types = table["AttributeDefinitions"]
    key = _keys(expected["KeySchema"], expected["AttributeDefinitions"])
    if _keys(table["KeySchema"], types) != key:
        raise SettingsError(f"KV_TABLE is {name!r}, a table with another key: it must be {key}")
    indexes = {
        index["IndexName"]: _keys(index["KeySchema"], types)
        for index in table.get("GlobalSecondaryIndexes", [])
    }
    for index in expected["GlobalSecondaryIndexes"]:
        key = _keys(index["KeySchema"], expected["AttributeDefinitions"])
        if indexes.get(index["IndexName"]) != key:
            raise SettingsError(
                f"KV_TABLE is {name!r}, a table without the index {index['IndexName']} on {key}"
            )


def code_of(error: Exception) -> str:
    """Return what DynamoDB calls an error, or botocore where no answer came."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return type(error).__name__


def is_refusal(error: Exception) -> bool:
    """Tell whether the table is gone or may not be used, so that whoever runs it has to look."""
    return code_of(error) in _REFUSALS


def refusal(name: str, error: Exception) -> str:
    """Say why the table could not be looked at."""
    code = code_of(error)
    reason = _REFUSALS.get(code, f"it can't be read ({code})")
    return f"KV_TABLE is {name!r}: {reason}"


def _keys(
    schema: "Iterable[KeySchemaElementTypeDef]", types: "Iterable[AttributeDefinitionTypeDef]"
) -> str:
    """Return a key as a message names it: ``pk (HASH, S) and sk (RANGE, S)``."""
    type_of = {each["AttributeName"]: each["AttributeType"] for each in types}
    return " and ".join(
        f"{part['AttributeName']} ({part['KeyType']}, {type_of[part['AttributeName']]})"
        for part in schema
    )
