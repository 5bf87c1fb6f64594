"""An emulation of AWS on this machine, and kv-store deployed to it.

Signatures are verified and policies evaluated there. What passes in it has passed in the emulation,
not on AWS.

Usage: python -m tools.cloud [memory|dynamodb]
       deploys template.yaml and opens the kv-client shell on it; all ends with the shell
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_network
from pathlib import Path
from socket import socket
from typing import Any, NamedTuple, cast

import boto3

from tools.package import packaged

ROOT = Path(__file__).parent.parent
EMULATOR = ROOT / ".venv-ministack/bin/python"
SAM = ROOT / ".venv-sam/bin/sam"
ACCOUNT = "123456789012"
REGION = "us-east-1"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"

_LOOPBACK = "127.0.0.1"
_PATIENCE = 60.0


class CloudError(Exception):
    """The emulation, or a deployment to it, did not come about; the message holds what it said."""


class Stack(NamedTuple):
    """A deployed stack.

    Attributes:
        name: Its name: the endpoint is ``stack://NAME``.
        resources: The physical identifiers of its resources, by their names in the template.
        outputs: Its outputs.
    """

    name: str
    resources: dict[str, str]
    outputs: dict[str, str]


class Cloud:
    """A running emulation.

    Args:
        url: Where it answers.
        folder: Where files of it may be.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder

    def environment(self, key_id: str = ACCOUNT, secret: str = "any") -> dict[str, str]:  # noqa: S107 (the emulator's)
        """Return what makes AWS tools talk to the emulation, by default as the account's root."""
        return {
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def sam_environment(self) -> dict[str, str]:
        """Return what makes SAM talk to the emulation as the account's root, and to nobody else."""
        # SAM asks for its newest version where it did not in the last week.
        metadata = json.dumps({"lastVersionCheck": time.time()})
        (self._folder / "metadata.json").write_text(metadata)
        return {
            **_own_environment(),
            **self.environment(),
            "SAM_CLI_POLL_DELAY": "1",
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(self._folder),
        }

    def client(self, service: str, **credentials: str) -> Any:
        """Return boto3's client for a service of the emulation, by default as the root."""
        return cast("Any", boto3).client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            **(credentials or {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "any"}),
        )

    def deploy(self, name: str, image: str, **parameters: str) -> Stack:
        """Deploy the template with SAM, or update what was deployed.

        Args:
            name: The stack's name.
            image: The image, which this machine has.
            parameters: Further parameters of the template.

        Raises:
            CloudError: It could not be deployed.
        """
        template = self._folder / "packaged.yaml"
        given = {"ImageUri": image, **parameters}
        # The emulation expands a template by its defaults; an update, though, would keep what was
        # given before.
        template.write_text(packaged(**given))
        _run(
            *(SAM, "deploy", "--template-file", template, "--stack-name", name),
            # SAM asks for it, and pushes nothing: every function has its image.
            *("--image-repository", f"{REGISTRY}/kv-store"),
            *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"),
            "--no-fail-on-empty-changeset",
            *("--parameter-overrides", *(f"{name}={value}" for name, value in given.items())),
            environment=self.sam_environment(),
        )
        return self.complete(name, parameters)

    def complete(self, name: str, parameters: dict[str, str]) -> Stack:
        """Do what the emulation leaves undone of a stack that was deployed; return it.

        Args:
            name: The stack's name.
            parameters: What was given as parameters of the template.
        """
        stack = self.stack(name)
        self._route(stack)
        self._let_publish(stack)
        self._reserve(stack, parameters)
        return stack

    def stack(self, name: str) -> Stack:
        """Return a stack that is deployed."""
        client = self.client("cloudformation")
        resources = client.describe_stack_resources(StackName=name)["StackResources"]
        outputs = client.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
        return Stack(
            name,
            {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources},
            {each["OutputKey"]: each["OutputValue"] for each in outputs},
        )

    def delete(self, name: str) -> None:
        """Delete a stack."""
        client = self.client("cloudformation")
        client.delete_stack(StackName=name)
        client.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})

    def user(self, name: str, *statements: dict[str, Any]) -> dict[str, str]:
        """Make a user who may do what the policy statements say; return the environment of it."""
        client = self.client("iam")
        client.create_user(UserName=name)
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            client.put_user_policy(UserName=name, PolicyName="given", PolicyDocument=policy)
        key = client.create_access_key(UserName=name)["AccessKey"]
        return self.environment(key["AccessKeyId"], key["SecretAccessKey"])

    def _route(self, stack: Stack) -> None:
        """Give the API its one route: the emulation does not read the OpenAPI body SAM writes."""
        client, api = self.client("apigatewayv2"), stack.resources["KvStoreApi"]
        if client.get_routes(ApiId=api)["Items"]:
            return
        integration = client.create_integration(
            ApiId=api,
            IntegrationType="AWS_PROXY",
            IntegrationUri=stack.resources["KvStoreFunctionAliaslive"],
            PayloadFormatVersion="2.0",
        )
        client.create_route(
            ApiId=api,
            RouteKey="$default",
            AuthorizationType="AWS_IAM",
            Target=f"integrations/{integration['IntegrationId']}",
        )

    def _reserve(self, stack: Stack, parameters: dict[str, str]) -> None:
        """Reserve the concurrency that the template says.

        Stacks of the emulation pass over it, and it does not hold for published versions there:
        so the alias goes to the unpublished one, which is the same.
        """
        one = "1" if parameters.get("Engine", "memory") == "memory" else ""
        if reserved := parameters.get("ReservedConcurrency") or one:
            client, function = self.client("lambda"), stack.resources["KvStoreFunction"]
            client.put_function_concurrency(
                FunctionName=function, ReservedConcurrentExecutions=int(reserved)
            )
            client.update_alias(FunctionName=function, Name="live", FunctionVersion="$LATEST")

    def _let_publish(self, stack: Stack) -> None:
        """Allow batches to whom the template allows sns:Publish, which on AWS is both.

        The emulation asks for an action that IAM does not have.
        """
        role = stack.resources.get("FanOutRole", stack.resources["KvStoreRole"])
        statement = {
            "Effect": "Allow",
            "Action": "sns:PublishBatch",
            "Resource": stack.outputs["TopicArn"],
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.client("iam").put_role_policy(
            RoleName=role, PolicyName="emulation", PolicyDocument=policy
        )


def caller(stack: Stack) -> tuple[dict[str, Any], ...]:
    """Return the policy statements of someone who may use a stack with kv-client."""
    invoke = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{stack.resources['KvStoreApi']}/*"
    find = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack.name}/*"
    return (
        {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": invoke},
        {"Effect": "Allow", "Action": "cloudformation:DescribeStacks", "Resource": find},
    )


def subscriber(stack: Stack) -> dict[str, Any]:
    """Return the policy statement of someone who may have others told of changes."""
    actions = (
        *("sns:Subscribe", "sns:Unsubscribe", "sns:ListSubscriptionsByTopic"),
        *("sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes"),
    )
    topic = stack.outputs["TopicArn"]
    return {"Effect": "Allow", "Action": list(actions), "Resource": [topic, f"{topic}:*"]}


@contextmanager
def cloud() -> Iterator[Cloud]:
    """Run the emulation until the block ends; its functions end with it.

    Raises:
        CloudError: It did not start.
    """
    with tempfile.TemporaryDirectory(prefix="kv-store-cloud-") as name:
        folder = Path(name)
        hosts = [_LOOPBACK, *_bridge()]
        port = _free_port(hosts)
        log = folder / "log"
        # Its own command listens on one address, or on all there are.
        command = [str(EMULATOR), "-m", "hypercorn", "ministack.app:app"]
        command += [option for host in hosts for option in ("--bind", f"{host}:{port}")]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=_emulator_environment(port, folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_until_ready(process, port, log)
            yield Cloud(f"http://{_LOOPBACK}:{port}", folder)
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            finally:
                process.kill()
                process.wait()
                _remove_functions(port)


def _emulator_environment(port: int, folder: Path) -> dict[str, str]:
    return {
        **_own_environment(),
        "AUTH": "true",
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "docker",
        "LAMBDA_STRICT": "1",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "TMPDIR": str(folder),
        # These would listen on ports of their own, on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }


def _own_environment() -> dict[str, str]:
    ours = os.environ.items()
    return {name: value for name, value in ours if not name.startswith(("AWS_", "KV_"))}


def _bridge() -> list[str]:
    """Return the address at which containers find this machine, where it is this machine's own.

    Docker Desktop's is not; there, what listens on loopback is found.
    """
    inspected = json.loads(_run("docker", "network", "inspect", "bridge"))
    network = inspected[0]["IPAM"]["Config"][0]
    # Older engines leave the gateway out where nobody chose it: then it is the first address.
    address = network.get("Gateway") or str(ip_network(network["Subnet"])[1])
    with socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return []
    return [address]


def _free_port(hosts: list[str]) -> int:
    """Return a port that is free on all the addresses."""
    for _ in range(20):
        with socket() as first:
            first.bind((hosts[0], 0))
            port: int = first.getsockname()[1]
            try:
                for host in hosts[1:]:
                    with socket() as other:
                        other.bind((host, port))
            except OSError:
                continue
            return port
    raise CloudError("no port is free")


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not _is_ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise CloudError(f"the emulation of AWS did not start:\n{log.read_text()}")
        time.sleep(0.1)


def _is_ready(port: int) -> bool:
    # Without requests, which would ask the environment for a proxy.
    connection = HTTPConnection(_LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200  # noqa: PLR2004
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _remove_functions(port: int) -> None:
    """Remove the functions' containers that the emulation left, if it had to be killed."""
    labelled = _run("docker", "ps", "--all", "--quiet", "--filter", "label=ministack.instance")
    for container in labelled.split():
        label = '{{index .Config.Labels "ministack.instance"}}'
        if _run("docker", "inspect", "--format", label, container).strip().endswith(f":{port}"):
            _run("docker", "rm", "--force", container)


def _run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stdout + done.stderr
        raise CloudError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}")
    return done.stdout


def main(engine: str = "memory") -> int:
    """Deploy with an engine, memory or dynamodb, and open the shell; return its exit code."""
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, lambda *_: sys.exit(1))
    say = sys.stderr.write
    say("tools.cloud: building the image\n")
    _run("docker", "build", "--tag", "kv-store-stack", ".")
    say("tools.cloud: starting an emulation of AWS and deploying to it\n")
    with cloud() as emulation:
        stack = emulation.deploy("kv-store", "kv-store-stack", Engine=engine)
        you = emulation.user("you", *caller(stack), subscriber(stack))
        say("tools.cloud: the account's root, for another terminal:\n")
        root = emulation.environment()
        say("".join(f"  export {name}={root[name]}\n" for name in sorted(root)))
        environment = {**_own_environment(), **you}
        # Ctrl-C is for the shell's command.
        signal.signal(signal.SIGINT, lambda *_: None)
        shell = [sys.executable, "-m", "kv_client", "--endpoint", f"stack://{stack.name}", "shell"]
        return subprocess.run(shell, env=environment, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except CloudError as error:
        sys.exit(f"tools.cloud: {error}")
