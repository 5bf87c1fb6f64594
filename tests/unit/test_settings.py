"""The environment, read once."""

import pytest

from handler.settings import Settings, SettingsError, load

TOPIC = "arn:aws:sns:eu-central-1:123456789012:kv-store"


def test_without_variables_the_memory_engine_holds_256_mib() -> None:
    assert Settings("memory", "", "", None, 256 * 1024 * 1024) == load({})


def test_under_lambda_it_holds_half_of_the_functions_memory() -> None:
    assert 64 * 1024 * 1024 == load({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}).max_bytes


def test_a_limit_of_its_own_goes_before_the_functions_memory() -> None:
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "KV_MAX_BYTES": "1000"}

    assert 1000 == load(environment).max_bytes


def test_every_variable_is_read() -> None:
    environment = {
        "KV_ENGINE": "dynamodb",
        "KV_TABLE": "records",
        "AWS_REGION": "eu-central-1",
        "KV_TOPIC_ARN": TOPIC,
        "KV_MAX_BYTES": "1",
        "POWERTOOLS_LOG_LEVEL": "debug",
    }

    assert Settings("dynamodb", "records", "eu-central-1", TOPIC, 1) == load(environment)


def test_an_empty_topic_is_none() -> None:
    assert None is load({"KV_TOPIC_ARN": ""}).topic


@pytest.mark.parametrize(
    ("variable", "value", "right"),
    [
        ("KV_ENGINE", "redis", "memory or dynamodb"),
        ("KV_ENGINE", "", "memory or dynamodb"),
        ("KV_ENGINE", "MEMORY", "memory or dynamodb"),
        ("KV_TOPIC_ARN", "kv-store", "ARN of an SNS topic"),
        ("KV_TOPIC_ARN", "arn:aws:sqs:eu-central-1:123456789012:queue", "ARN of an SNS topic"),
        ("KV_TOPIC_ARN", TOPIC + "\n", "ARN of an SNS topic"),
        ("KV_MAX_BYTES", "", "whole number"),
        ("KV_MAX_BYTES", "0", "whole number"),
        ("KV_MAX_BYTES", "-1", "whole number"),
        ("KV_MAX_BYTES", "1e6", "whole number"),
        ("KV_MAX_BYTES", "256 MiB", "whole number"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "much", "whole number"),
        ("POWERTOOLS_LOG_LEVEL", "loud", "one of"),
        ("AWS_ENDPOINT_URL", "localhost:4566", "URL"),
    ],
)
def test_a_wrong_variable_is_named_with_what_would_be_right(
    variable: str, value: str, right: str
) -> None:
    with pytest.raises(SettingsError, match=f"{variable} .*{right}"):
        load({variable: value})


def test_a_wrong_region_is_named_with_what_would_be_right() -> None:
    environment = {"KV_ENGINE": "dynamodb", "KV_TABLE": "t", "AWS_REGION": "us_east!"}

    with pytest.raises(SettingsError, match=r"AWS_REGION .*a region"):
        load(environment)


@pytest.mark.parametrize("variables", [{}, {"AWS_REGION": ""}])
def test_where_aws_region_is_not_set_the_region_is_the_default_that_boto3_reads(
    variables: dict[str, str],
) -> None:
    environment = {"KV_ENGINE": "dynamodb", "KV_TABLE": "t", "AWS_DEFAULT_REGION": "eu-west-1"}

    assert "eu-west-1" == load({**environment, **variables}).region
    assert "us-east-1" == load({**environment, "AWS_REGION": "us-east-1"}).region


def test_the_table_is_required_by_dynamodb() -> None:
    with pytest.raises(SettingsError, match="KV_TABLE is missing"):
        load({"KV_ENGINE": "dynamodb"})
