"""The template: linted, and expanded as a deployment does, for both engines."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from handler.store.dynamodb.items import table_definition
from tests.runtimes import ROOT, SAM, run, sam_environment
from tests.templates import ENGINES, EXPAND, Template, actions_of, expanded_with, of, statements

_STATEFUL = {"AWS::DynamoDB::Table"}


def test_sam_validate_lints_the_template_and_finds_nothing(sam: None) -> None:
    said = run(SAM, "validate", environment=sam_environment())

    # Where it did not lint, it goes on to recommend that.
    assert said.endswith("template.yaml is a valid SAM Template\n")


@pytest.mark.parametrize("name", ["template.yaml", "pipeline.yaml"])
def test_cfn_lint_finds_nothing_in_the_templates(sam: None, name: str) -> None:
    assert run(SAM.with_name("cfn-lint"), "--include-checks", "I", "--", name) == ""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("gradual", ["true", "false"])
def test_cfn_lint_finds_nothing_in_what_sam_makes_of_it(
    sam: None, tmp_path: Path, engine: str, gradual: str
) -> None:
    given = (f"Engine={engine}", f"GradualDeployment={gradual}")
    command = (SAM.with_name("python"), "-c", EXPAND, "template.yaml", *given)
    said = run(*command, "ImageUri=registry.example/kv-store:1", environment=sam_environment())
    (tmp_path / "expanded.json").write_text(said)

    # SAM alone reads the parameter Release, and makes a deployment only where it has a role.
    options = ("--include-checks", "I", "--ignore-checks", "W2001", "W1001")
    assert run(SAM.with_name("cfn-lint"), *options, "--", tmp_path / "expanded.json") == ""


def test_every_parameter_is_described(expanded: Template, pipeline: Template) -> None:
    parameters = [*expanded["Parameters"].items(), *pipeline["Parameters"].items()]

    assert [name for name, each in parameters if not each.get("Description")] == []


def test_every_route_asks_for_iam_authorization(expanded: Template) -> None:
    api = expanded["Resources"]["KvStoreApi"]["Properties"]["Body"]
    routes = [route for path in api["paths"].values() for route in path.values()]

    assert [route["security"] for route in routes] == [[{"AWS_IAM": []}]]
    scheme = api["components"]["securitySchemes"]["AWS_IAM"]
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_every_path_and_method_reach_the_handler_by_the_default_route(expanded: Template) -> None:
    paths = expanded["Resources"]["KvStoreApi"]["Properties"]["Body"]["paths"]

    assert list(paths) == ["$default"]
    assert list(paths["$default"]) == ["x-amazon-apigateway-any-method"]


def test_nothing_is_public_but_the_api(expanded: Template) -> None:
    kinds = {each["Type"] for each in expanded["Resources"].values()}
    permissions = list(of(expanded, "AWS::Lambda::Permission").values())

    assert "AWS::Lambda::Url" not in kinds
    assert [each["Principal"] for each in permissions] == ["apigateway.amazonaws.com"]
    assert '"Principal": "*"' not in json.dumps(expanded)


def test_memory_makes_no_table_and_what_hangs_on_it(memory: Template) -> None:
    kinds = {each["Type"] for each in memory["Resources"].values()}

    assert kinds.isdisjoint(
        {"AWS::DynamoDB::Table", "AWS::Lambda::EventSourceMapping", "AWS::SQS::Queue"}
    )
    assert list(of(memory, "AWS::Lambda::Function")) == ["KvStoreFunction"]


def test_the_table_is_the_one_that_the_engine_works_with(dynamodb: Template) -> None:
    [table] = of(dynamodb, "AWS::DynamoDB::Table").values()
    expected = dict(table_definition("any"))
    expected.pop("TableName")
    expected["StreamSpecification"] = {"StreamViewType": "NEW_AND_OLD_IMAGES"}

    assert {name: table[name] for name in expected} == expected
    assert table["TimeToLiveSpecification"] == {"AttributeName": "sweep_at", "Enabled": True}


def test_the_table_is_encrypted_backed_up_and_outlives_the_stack(dynamodb: Template) -> None:
    table = dynamodb["Resources"]["KvStoreTable"]

    assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True
    }
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_nothing_else_outlives_the_stack_but_versions_which_end_with_their_function(
    expanded: Template,
) -> None:
    kept = {
        each["Type"]
        for each in expanded["Resources"].values()
        if "Retain" in (each.get("DeletionPolicy"), each.get("UpdateReplacePolicy"))
    }

    assert kept - _STATEFUL == {"AWS::Lambda::Version"}


def test_every_function_runs_the_one_image(dynamodb: Template) -> None:
    functions = of(dynamodb, "AWS::Lambda::Function")

    assert len(functions) == 3
    images = [each["Code"]["ImageUri"] for each in functions.values()]
    assert all(each in ("registry.example/kv-store:1", {"Ref": "ImageUri"}) for each in images)
    assert functions["FanOutFunction"]["ImageConfig"] == {
        "Command": ["handler.fanout.lambda_handler"]
    }
    assert functions["PreTrafficHook"]["ImageConfig"] == {
        "Command": ["handler.hook.lambda_handler"]
    }


def test_memory_runs_once_and_dynamodb_as_often_as_it_is_asked(
    memory: Template, dynamodb: Template
) -> None:
    functions = [
        of(each, "AWS::Lambda::Function")["KvStoreFunction"] for each in (memory, dynamodb)
    ]

    assert functions[0]["ReservedConcurrentExecutions"] == 1
    assert "ReservedConcurrentExecutions" not in functions[1]


def test_parameters_reach_the_function_and_the_api(sam: None) -> None:
    given = {"MemorySize": "1024", "Architecture": "arm64", "ReservedConcurrency": "7"}
    template = expanded_with(Engine="dynamodb", RequestsPerSecond="9", **given)
    function = of(template, "AWS::Lambda::Function")["KvStoreFunction"]
    [stage] = of(template, "AWS::ApiGatewayV2::Stage").values()

    # Without it, another Release alone would be a function that is the same as before.
    assert function["Environment"]["Variables"]["KV_RELEASE"] == {"Ref": "Release"}
    assert function["MemorySize"] == {"Ref": "MemorySize"}
    assert function["Architectures"] == [{"Ref": "Architecture"}]
    assert function["ReservedConcurrentExecutions"] == {"Ref": "ReservedConcurrency"}
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "RequestsPerSecond"},
        "ThrottlingBurstLimit": {"Ref": "RequestsPerSecond"},
    }


def test_the_memory_engine_is_refused_more_than_one_copy(memory: Template) -> None:
    rule = memory["Rules"]["MemoryRunsOnce"]

    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Engine"}, "memory"]}
    [assertion] = rule["Assertions"]
    allowed, given = assertion["Assert"]["Fn::Contains"]
    assert (allowed, given) == (["", "0", "1"], {"Ref": "ReservedConcurrency"})


def test_the_api_alone_may_call_the_function_and_only_its_alias(expanded: Template) -> None:
    [permission] = of(expanded, "AWS::Lambda::Permission").values()

    assert permission["FunctionName"] == {"Ref": "KvStoreFunctionAliaslive"}
    assert "${__ApiId__}" in json.dumps(permission["SourceArn"])


def test_all_that_can_be_tagged_is(expanded: Template) -> None:
    untagged = {
        each["Type"]
        for each in expanded["Resources"].values()
        if '"Application"' not in json.dumps(each.get("Properties", {}))
    }

    # CloudFormation takes no tags for these, or SAM makes them without.
    assert untagged <= {
        *("AWS::ApiGatewayV2::Stage", "AWS::CloudWatch::Dashboard", "AWS::Lambda::Alias"),
        *("AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup"),
        *("AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission", "AWS::Lambda::Version"),
        *("AWS::Logs::MetricFilter", "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy"),
    }


def test_the_function_gives_up_before_the_http_api_does(expanded: Template) -> None:
    assert expanded["Resources"]["KvStoreFunction"]["Properties"]["Timeout"] < 30


def test_the_fan_out_reads_the_stream_publishes_and_leaves_what_it_could_not(
    dynamodb: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KV_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:any")
    from handler import fanout  # it opens the topic that is named

    [mapping] = of(dynamodb, "AWS::Lambda::EventSourceMapping").values()

    assert {each.partition(":")[2] for each in actions_of(dynamodb, "FanOutRole")} == {
        *("CreateLogStream", "PutLogEvents", "DescribeStream", "GetRecords", "GetShardIterator"),
        *("ListStreams", "Publish", "SendMessage"),
    }
    assert mapping["BisectBatchOnFunctionError"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["DeadLetters", "Arn"]
    }
    # Until then, one change that can't be published holds up those behind it.
    assert (mapping["MaximumRetryAttempts"], mapping["MaximumRecordAgeInSeconds"]) == (20, 3600)
    [pattern] = [json.loads(each["Pattern"]) for each in mapping["FilterCriteria"]["Filters"]]
    assert pattern == json.loads(fanout.FILTER_PATTERN)


def test_a_new_version_gets_a_tenth_of_the_traffic_first_and_alarms_take_it_back(
    dynamodb: Template,
) -> None:
    [group] = of(dynamodb, "AWS::CodeDeploy::DeploymentGroup").values()
    alias = dynamodb["Resources"]["KvStoreFunctionAliaslive"]
    hook = of(dynamodb, "AWS::Lambda::Function")["PreTrafficHook"]["FunctionName"]

    assert "Canary10Percent5Minutes" in json.dumps(group["DeploymentConfigName"])
    assert group["AutoRollbackConfiguration"]["Enabled"]
    assert len(group["AlarmConfiguration"]["Alarms"]) == 2
    assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["BeforeAllowTrafficHook"] == {
        "Ref": "PreTrafficHook"
    }
    assert hook["Fn::Sub"].startswith("CodeDeployHook_")


def test_the_hook_tries_the_version_that_is_about_to_get_traffic(dynamodb: Template) -> None:
    [version] = of(dynamodb, "AWS::Lambda::Version")
    hook = of(dynamodb, "AWS::Lambda::Function")["PreTrafficHook"]
    may = {
        action: resources
        for role, actions, resources in statements(dynamodb)
        if role == "PreTrafficHookRole"
        for action in actions
    }

    assert hook["Environment"]["Variables"] == {"KV_NEW_VERSION": {"Ref": version}}
    assert may["lambda:InvokeFunction"] == [{"Fn::Sub": "${KvStoreFunction.Arn}:*"}]
    assert "codedeploy:PutLifecycleEventHookExecutionStatus" in may


def test_codedeploy_may_move_the_alias_and_invoke_the_hook(dynamodb: Template) -> None:
    [group] = of(dynamodb, "AWS::CodeDeploy::DeploymentGroup").values()

    assert group["ServiceRoleArn"] == {"Fn::GetAtt": ["DeploymentRole", "Arn"]}
    assert actions_of(dynamodb, "DeploymentRole") == {
        *("lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"),
        *("lambda:InvokeFunction", "cloudwatch:DescribeAlarms"),
    }


def test_with_memory_all_traffic_moves_at_once(sam: None, memory: Template) -> None:
    [group] = of(
        expanded_with(GradualDeployment="true"), "AWS::CodeDeploy::DeploymentGroup"
    ).values()

    assert "AllAtOnce" in json.dumps(group["DeploymentConfigName"])
    assert not of(memory, "AWS::CodeDeploy::DeploymentGroup")


@pytest.mark.parametrize("changed", ["ImageUri", "Release"])
def test_another_image_or_release_publishes_another_version(
    sam: None, memory: Template, changed: str
) -> None:
    [before] = of(memory, "AWS::Lambda::Version")
    [after] = of(expanded_with(**{changed: "other"}), "AWS::Lambda::Version")

    assert before != after


def test_no_release_is_longer_than_what_sam_heeds_of_it(memory: Template) -> None:
    pattern = memory["Parameters"]["Release"]["AllowedPattern"]

    assert re.fullmatch(pattern, "a" * 10)
    assert not re.fullmatch(pattern, "a" * 11)


def test_logs_are_kept_as_long_as_the_parameter_says(expanded: Template) -> None:
    logs = of(expanded, "AWS::Logs::LogGroup").values()

    assert [each["RetentionInDays"] for each in logs] == [{"Ref": "LogRetentionDays"}] * len(logs)


def test_each_function_writes_to_a_log_group_of_the_stack_and_may_do_so(dynamodb: Template) -> None:
    for name, function in of(dynamodb, "AWS::Lambda::Function").items():
        group = function["LoggingConfig"]["LogGroup"]["Ref"]
        role = function["Role"]["Fn::GetAtt"][0]
        writable = [
            resource["Fn::GetAtt"]
            for who, actions, resources in statements(dynamodb)
            if who == role and "logs:PutLogEvents" in actions
            for resource in resources
        ]

        assert writable == [[group, "Arn"]], name
        assert group in of(dynamodb, "AWS::Logs::LogGroup")


def test_the_access_log_has_no_body_and_no_query(expanded: Template) -> None:
    [stage] = of(expanded, "AWS::ApiGatewayV2::Stage").values()
    fields = json.loads(stage["AccessLogSettings"]["Format"])

    assert {"requestId", "route", "status", "latency", "caller"} <= set(fields)
    assert not any("query" in value.lower() or "body" in value.lower() for value in fields.values())


def test_the_outputs_name_what_an_operator_needs(memory: Template, dynamodb: Template) -> None:
    names = {"Endpoint", "FunctionName", "TopicArn", "AlarmTopicArn", "DashboardUrl"}

    assert set(memory["Outputs"]) == names
    assert set(dynamodb["Outputs"]) == names | {"DeadLettersUrl", "TableName"}


@pytest.mark.parametrize(
    ("environment", "stack", "engine"),
    [
        ("default", "kv-store", "memory"),
        ("staging", "kv-store-staging", "dynamodb"),
        ("prod", "kv-store-prod", "dynamodb"),
    ],
)
def test_an_environment_of_samconfig_needs_nothing_else(
    memory: Template, environment: str, stack: str, engine: str
) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]
    deploy = config["deploy"]["parameters"]
    given = dict(each.split("=") for each in shlex.split(deploy["parameter_overrides"]))
    parameters = {**{name: each["Default"] for name, each in memory["Parameters"].items()}, **given}

    assert config["global"]["parameters"]["stack_name"] == stack
    assert parameters["Engine"] == engine
    assert set(given) <= set(memory["Parameters"])
    assert (given["Release"], deploy["confirm_changeset"]) == ("", False)
    assert deploy["resolve_s3"]
    assert deploy["resolve_image_repos"]
