"""What reaches into AWS: credentials and signatures, functions, stacks."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError
from botocore.utils import validate_region_name
from requests.auth import AuthBase

from kv_client.errors import (
    AccessDenied,
    EndpointError,
    HandlerFailed,
    KVError,
    OutOfReach,
    RequestTooLarge,
    Throttled,
)

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sns import SNSClient

# The retries are the connection's, which knows what is safe to send again.
_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1})
# What is asked of SNS may be asked twice.
_SNS_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard"})

# ID.execute-api.REGION.amazonaws.com, ID.lambda-url.REGION.on.aws
_REGION_IN_HOST = re.compile(
    r"[^.]+\.(?:execute-api|lambda-url)\.([a-z]{2,4}(?:-[a-z]+)+-[0-9]+)(?:\..+)?"
)
_REGION_IN_ARN = re.compile(r"arn:[^:]+:lambda:([^:]+):.+")
_RETRIES = re.compile(r" \(reached max retries: [0-9]+\)")
_NO_CREDENTIALS = (
    "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a "
    "profile with --aws-profile"
)


class AWS:
    """The caller's account, as boto3 finds it.

    Args:
        region: The region; None for that of the environment or the AWS profile.
        profile: A profile of the AWS configuration; None for the default.

    Raises:
        EndpointError: There is no such profile, or no region can have that name.
    """

    def __init__(self, region: str | None, profile: str | None) -> None:
        self._region = region
        try:
            self._session = boto3.Session(
                region_name=region or os.environ.get("AWS_REGION"), profile_name=profile
            )
        except ProfileNotFound as error:
            raise EndpointError(f"{error}: --aws-profile takes one of ~/.aws/config") from error
        try:
            validate_region_name(self._session.region_name)
        except InvalidRegionError as error:
            raise EndpointError(
                f"{self._session.region_name!r} is no AWS region: one is eu-central-1"
            ) from error

    def signer(self, service: str, host: str) -> "Signer":
        """Return what signs requests to a host.

        Raises:
            EndpointError: Neither the host nor the configuration names the region.
        """
        named = _REGION_IN_HOST.fullmatch(host)
        region = named[1] if named else self._session.region_name
        if not region:
            raise EndpointError(f"{host} names no region: --region or AWS_REGION does")
        return Signer(self._session, service, region)

    def function(self, name: str) -> "Function":
        """Return a function, by its name or ARN, with or without a version or an alias.

        Raises:
            EndpointError: No region is configured, nor named by the ARN.
        """
        named = _REGION_IN_ARN.fullmatch(name)
        region = self._region or (named[1] if named else None)
        with explained(f"function {name}"):
            return Function(name, self._session.client("lambda", region, config=_CONFIG))

    def sns(self) -> "SNSClient":
        """Return a client for SNS."""
        with explained("SNS"):
            client: SNSClient = self._session.client("sns", config=_SNS_CONFIG)
            return client

    def stack_endpoint(self, name: str) -> str:
        """Return the output ``Endpoint`` of a CloudFormation stack.

        Raises:
            EndpointError: There is no such stack, or it has no such output.
            AccessDenied: There are no credentials, or they do not allow to describe it.
            OutOfReach: CloudFormation did not answer.
        """
        with explained(f"stack {name}", unreachable=OutOfReach):
            client: CloudFormationClient = self._session.client("cloudformation", config=_CONFIG)
            try:
                stack = client.describe_stacks(StackName=name)["Stacks"][0]
            except ClientError as error:
                if error.response["Error"]["Code"] == "ValidationError":
                    raise EndpointError(f"there is no stack {name}: {words_of(error)}") from error
                raise
        for output in stack.get("Outputs", []):
            if output.get("OutputKey") == "Endpoint":
                return output["OutputValue"]
        raise EndpointError(f"stack {name} has no output Endpoint: is it a kv-store?")


class Signer(AuthBase):
    """Signs requests with Signature Version 4, with the credentials of each moment.

    Args:
        session: Where the credentials come from.
        service: The service that the signature is for.
        region: Its region.
    """

    def __init__(self, session: boto3.Session, service: str, region: str) -> None:
        self._session = session
        self._service = service
        self._region = region

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        with explained(f"the credentials for {self._service}"):
            credentials = self._session.get_credentials()
            if credentials is None:
                raise AccessDenied(_NO_CREDENTIALS)
            frozen = credentials.get_frozen_credentials()
        signed = AWSRequest(method=request.method, url=request.url, data=request.body or b"")
        SigV4Auth(frozen, self._service, self._region).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


class Function:
    """A Lambda function, called through Lambda's Invoke API."""

    def __init__(self, name: str, client: "LambdaClient") -> None:
        self._name = name
        self._client = client

    def invoke(self, event: bytes) -> Any:
        """Return what the function returns for an event, or how it failed.

        Raises:
            EndpointError: There is no such function.
            KVError: It did not come to that.
        """
        with explained(f"function {self._name}"):
            try:
                answer = self._client.invoke(FunctionName=self._name, Payload=event)
            except self._client.exceptions.ResourceNotFoundException as error:
                raise EndpointError(
                    f"there is no function {self._name}: {words_of(error)}"
                ) from error
            payload = answer["Payload"].read()
        try:
            return json.loads(payload)
        except ValueError as error:
            raise HandlerFailed(f"function {self._name} answered no JSON") from error


@contextmanager
def explained(what: str, unreachable: type[Exception] = requests.ConnectionError) -> Iterator[None]:
    """Raise what boto3 raises in the words of the contract, or of requests."""
    try:
        yield
    except NoRegionError as error:
        raise EndpointError("no AWS region is set: --region or AWS_REGION does") from error
    except (BotoConnectionError, HTTPClientError, ResponseParserError) as error:
        raise unreachable(str(error)) from error
    except ClientError as error:
        raise _refusal(what, error) from error
    except NoCredentialsError as error:
        raise AccessDenied(_NO_CREDENTIALS) from error
    except BotoCoreError as error:
        # What is left concerns credentials: missing, incomplete, expired, not to be fetched.
        raise AccessDenied(f"{what}: {error}") from error


def words_of(error: ClientError) -> str:
    """Return what AWS said, without botocore's count of retries, which are not its own to make."""
    return _RETRIES.sub("", str(error))


def _refusal(what: str, error: ClientError) -> KVError:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    message = f"{what}: {words_of(error)}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AccessDenied(message)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(message)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return RequestTooLarge(message)
    if status == HTTPStatus.BAD_GATEWAY:
        return HandlerFailed(message)
    return OutOfReach(message)
