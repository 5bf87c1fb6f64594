"""The check at the start: is the table the one that the engine works with?"""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from handler.settings import SettingsError
from handler.store.dynamodb.items import table_definition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_dynamodb.type_defs import (
        AttributeDefinitionTypeDef,
        KeySchemaElementTypeDef,
        TableDescriptionTypeDef,
    )

_REFUSALS = {
    "ResourceNotFoundException": "there is no such table in this region",
    "AccessDeniedException": "the function's role may not read it",
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


def refusal(name: str, error: BotoCoreError | ClientError) -> str:
    """Say why the table could not be looked at."""
    if isinstance(error, ClientError):
        code = str(error.response["Error"]["Code"])
        return f"KV_TABLE is {name!r}: {_REFUSALS.get(code, f'DynamoDB answers {code}')}"
    if isinstance(error, NoCredentialsError):
        return f"KV_TABLE is {name!r}: there are no AWS credentials to read it with"
    return f"KV_TABLE is {name!r}: it can't be read ({type(error).__name__})"


def _keys(
    schema: "Iterable[KeySchemaElementTypeDef]", types: "Iterable[AttributeDefinitionTypeDef]"
) -> str:
    """Return a key as a message names it: ``pk (HASH, S) and sk (RANGE, S)``."""
    type_of = {each["AttributeName"]: each["AttributeType"] for each in types}
    return " and ".join(
        f"{part['AttributeName']} ({part['KeyType']}, {type_of[part['AttributeName']]})"
        for part in schema
    )
