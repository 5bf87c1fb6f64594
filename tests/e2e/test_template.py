"""The templates: linted, and expanded as a deployment does, for both engines."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler.store.dynamodb.items import table_definition
from tests.runtimes import SAM, run, sam_environment

# Prints the template as SAM expands it, with parameters. It runs in SAM's own environment.
_EXPAND = """
import json, sys
from types import SimpleNamespace
from samcli.yamlhelper import parse_yaml_file
from samtranslator.translator.transform import transform

parameters = dict(each.split("=") for each in sys.argv[1:])
template = parse_yaml_file("template.yaml")
print(json.dumps(transform(template, parameters, SimpleNamespace(load=dict))))
"""
# Prints a template of plain CloudFormation, without the short forms of YAML.
_PARSE = "import json, sys; from samcli.yamlhelper import parse_yaml_file as parse; print(json.dumps(parse(sys.argv[1])))"  # noqa: E501
# Prints what CloudFormation's handlers of resource types may call, as their schemas say.
_CALLS = """
import json, sys
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as schemas

kinds = [schemas.get_resource_schema("us-east-1", each).schema["handlers"] for each in sys.argv[1:]]
steps = [each[step]["permissions"] for each in kinds for step in each if step != "list"]
print(json.dumps(sorted({call for calls in steps for call in calls})))
"""
# What they call for what the template does not ask of them: networks, replicas, keys of one's own…
# IAM has no apigateway:TagResource: to tag is a POST there.
_UNASKED = re.compile(
    r"(ec2|elasticfilesystem|firehose|kinesis|kms|s3|s3files):.*"
    r"|apigateway:(Tag|Untag)Resource|codedeploy:RegisterOnPremisesInstance"
    r"|dynamodb:((BatchWrite|Delete|Get|Put|Update)Item|Query|Scan|DeleteTable)"
    r"|dynamodb:.*(Import|Replica|ContributorInsights|KinesisStreamingDestination|ResourcePolicy).*"
    r"|iam:((Attach|Detach)RolePolicy|DeleteRolePermissionsBoundary|CreateServiceLinkedRole)"
    r"|lambda:.*(CodeSigning|RecursionConfig|ScalingConfig|RuntimeManagement|RuntimeAlias).*"
    r"|lambda:.*(ProvisionedConcurrencyConfig|CapacityProvider|LayerVersion)"
    r"|logs:.*(DataProtection|IndexPolic|BearerToken|KmsKey|DeletionProtection|ResourcePolicy).*"
    r"|logs:(CreateLogStream|DescribeLogStreams|PutLogEvents)|sns:PutDataProtectionPolicy"
)
_STATEFUL = {"AWS::DynamoDB::Table"}
# AWS has no resource for these actions.
_OF_NO_RESOURCE = {
    *("cloudwatch:DescribeAlarms", "ecr:GetAuthorizationToken"),
    *("lambda:CreateEventSourceMapping", "lambda:ListEventSourceMappings"),
    *("logs:CreateLogDelivery", "logs:DeleteLogDelivery"),
    *("logs:DescribeLogGroups", "logs:DescribeResourcePolicies"),
    *("logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy"),
    "logs:UpdateLogDelivery",
}

Template = dict[str, Any]
ENGINES = ["memory", "dynamodb"]


def _expanded(**parameters: str) -> Template:
    """Return the template as a deployment makes it: resources whose condition fails left out."""
    parameters = {"ImageUri": "registry.example/kv-store:1", **parameters}
    given = [f"{name}={value}" for name, value in parameters.items()]
    template: Template = json.loads(
        run(SAM.with_name("python"), "-c", _EXPAND, *given, environment=sam_environment())
    )
    engine = parameters.get("Engine", "memory")
    holds = {
        "Durable": engine == "dynamodb",
        "Volatile": engine == "memory",
        "Gradual": parameters.get("GradualDeployment") == "true",
        "Bounded": "PermissionsBoundary" in parameters,
        "HasAlarmEmail": "AlarmEmail" in parameters,
        "ReservesConcurrency": "ReservedConcurrency" in parameters,
    }
    template["Resources"] = _decided(template["Resources"], holds)
    template["Outputs"] = _decided(template["Outputs"], holds)
    return template


def _decided(node: Any, holds: dict[str, bool]) -> Any:
    if isinstance(node, list):
        decided = [_decided(each, holds) for each in node]
        return [each for each in decided if each != {"Ref": "AWS::NoValue"}]
    if not isinstance(node, dict):
        return node
    if "Fn::If" in node:
        condition, yes, no = node["Fn::If"]
        return _decided(yes if holds[condition] else no, holds)
    there = {
        name: each
        for name, each in node.items()
        if not (isinstance(each, dict) and not holds.get(each.get("Condition"), True))
    }
    decided = {name: _decided(each, holds) for name, each in there.items()}
    return {name: each for name, each in decided.items() if each != {"Ref": "AWS::NoValue"}}


@pytest.fixture(scope="module")
def memory(sam: None) -> Template:
    return _expanded(Engine="memory")


@pytest.fixture(scope="module")
def dynamodb(sam: None) -> Template:
    return _expanded(Engine="dynamodb", GradualDeployment="true", AlarmEmail="a@example.org")


@pytest.fixture(params=ENGINES)
def expanded(request: pytest.FixtureRequest) -> Template:
    """Return the template as it is expanded for each engine."""
    template: Template = request.getfixturevalue(request.param)
    return template


@pytest.fixture(scope="module")
def pipeline(sam: None) -> Template:
    template: Template = json.loads(
        run(SAM.with_name("python"), "-c", _PARSE, "pipeline.yaml", environment=sam_environment())
    )
    return template


def _of(template: Template, kind: str) -> dict[str, Any]:
    """Return the properties of all resources of a kind."""
    return {
        name: each.get("Properties", {})
        for name, each in template["Resources"].items()
        if each["Type"] == kind
    }


def _statements(template: Template) -> Iterator[tuple[str, list[str], list[Any]]]:
    """Yield each statement of the roles' policies: the role, the actions, the resources."""
    for name, role in _of(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                actions, resources = statement["Action"], statement["Resource"]
                yield (
                    name,
                    actions if isinstance(actions, list) else [actions],
                    resources if isinstance(resources, list) else [resources],
                )


def _actions(template: Template, role: str) -> set[str]:
    return {each for name, actions, _ in _statements(template) if name == role for each in actions}


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
    given = ("ImageUri=registry.example/kv-store:1", f"Engine={engine}")
    said = run(
        *(SAM.with_name("python"), "-c", _EXPAND, *given, f"GradualDeployment={gradual}"),
        environment=sam_environment(),
    )
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
    permissions = list(_of(expanded, "AWS::Lambda::Permission").values())

    assert "AWS::Lambda::Url" not in kinds
    assert [each["Principal"] for each in permissions] == ["apigateway.amazonaws.com"]
    assert '"Principal": "*"' not in json.dumps(expanded)


def test_memory_makes_no_table_and_what_hangs_on_it(memory: Template) -> None:
    kinds = {each["Type"] for each in memory["Resources"].values()}

    assert kinds.isdisjoint(
        {"AWS::DynamoDB::Table", "AWS::Lambda::EventSourceMapping", "AWS::SQS::Queue"}
    )
    assert list(_of(memory, "AWS::Lambda::Function")) == ["KvStoreFunction"]


def test_the_table_is_the_one_that_the_engine_works_with(dynamodb: Template) -> None:
    [table] = _of(dynamodb, "AWS::DynamoDB::Table").values()
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
    functions = _of(dynamodb, "AWS::Lambda::Function")

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
        _of(each, "AWS::Lambda::Function")["KvStoreFunction"] for each in (memory, dynamodb)
    ]

    assert functions[0]["ReservedConcurrentExecutions"] == 1
    assert "ReservedConcurrentExecutions" not in functions[1]


def test_the_function_gives_up_before_the_http_api_does(expanded: Template) -> None:
    assert expanded["Resources"]["KvStoreFunction"]["Properties"]["Timeout"] < 30


def test_actions_and_resources_of_the_roles_are_named(
    expanded: Template, pipeline: Template
) -> None:
    for template in (expanded, pipeline):
        for role, actions, resources in _statements(template):
            assert [each for each in actions if "*" in each] == [], role
            if "*" in resources:
                assert set(actions) <= _OF_NO_RESOURCE, role


def test_policies_name_the_service_of_a_resource_and_one_for_each_action(
    expanded: Template, pipeline: Template
) -> None:
    for template in (expanded, pipeline):
        for role, actions, resources in _statements(template):
            patterns = [each["Fn::Sub"] for each in resources if "Fn::Sub" in each]
            # A GetAtt or Ref is the ARN of a resource; a Sub may be one with something behind it.
            arns = [re.sub(r"\$\{.*?\}", "x", each) for each in patterns if each.startswith("arn:")]
            services = {each.split(":")[2] for each in arns}

            assert not any("*" in each for each in services), role
            if len(arns) == len(resources):
                assert {each.partition(":")[0] for each in actions} == services, role


def test_cloudformation_may_do_all_that_making_changing_and_deleting_the_stack_takes(
    dynamodb: Template, pipeline: Template
) -> None:
    kinds = {each["Type"] for each in dynamodb["Resources"].values()}
    said = run(SAM.with_name("python"), "-c", _CALLS, *kinds, environment=sam_environment())

    lacking = set(json.loads(said)) - _actions(pipeline, "DeployRole")
    assert [each for each in lacking if not _UNASKED.fullmatch(each)] == []


def test_only_with_memory_the_function_itself_publishes(
    memory: Template, dynamodb: Template
) -> None:
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}

    assert _actions(memory, "KvStoreRole") == logs | {"sns:Publish"}
    assert {each.partition(":")[0] for each in _actions(dynamodb, "KvStoreRole") - logs} == {
        "dynamodb"
    }


def test_the_fan_out_reads_the_stream_publishes_and_leaves_what_it_could_not(
    dynamodb: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KV_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:any")
    from handler import fanout  # it opens the topic that is named

    [mapping] = _of(dynamodb, "AWS::Lambda::EventSourceMapping").values()

    assert {each.partition(":")[2] for each in _actions(dynamodb, "FanOutRole")} == {
        *("CreateLogStream", "PutLogEvents", "DescribeStream", "GetRecords", "GetShardIterator"),
        *("ListStreams", "Publish", "SendMessage"),
    }
    assert mapping["BisectBatchOnFunctionError"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["DeadLetters", "Arn"]
    }
    [pattern] = [json.loads(each["Pattern"]) for each in mapping["FilterCriteria"]["Filters"]]
    assert pattern == json.loads(fanout.FILTER_PATTERN)


def test_a_new_version_gets_a_tenth_of_the_traffic_first_and_alarms_take_it_back(
    dynamodb: Template,
) -> None:
    [group] = _of(dynamodb, "AWS::CodeDeploy::DeploymentGroup").values()
    alias = dynamodb["Resources"]["KvStoreFunctionAliaslive"]
    hook = _of(dynamodb, "AWS::Lambda::Function")["PreTrafficHook"]["FunctionName"]

    assert "Canary10Percent5Minutes" in json.dumps(group["DeploymentConfigName"])
    assert group["AutoRollbackConfiguration"]["Enabled"]
    assert len(group["AlarmConfiguration"]["Alarms"]) == 2
    assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["BeforeAllowTrafficHook"] == {
        "Ref": "PreTrafficHook"
    }
    assert hook["Fn::Sub"].startswith("CodeDeployHook_")


def test_with_memory_all_traffic_moves_at_once(sam: None, memory: Template) -> None:
    [group] = _of(_expanded(GradualDeployment="true"), "AWS::CodeDeploy::DeploymentGroup").values()

    assert "AllAtOnce" in json.dumps(group["DeploymentConfigName"])
    assert not _of(memory, "AWS::CodeDeploy::DeploymentGroup")


def test_another_release_publishes_another_version(sam: None, memory: Template) -> None:
    versions = [
        list(_of(each, "AWS::Lambda::Version")) for each in (memory, _expanded(Release="other"))
    ]

    assert versions[0] != versions[1]


def test_every_alarm_goes_to_a_topic_that_cloudwatch_may_publish_to(expanded: Template) -> None:
    alarms = _of(expanded, "AWS::CloudWatch::Alarm")
    topics = _of(expanded, "AWS::SNS::Topic")

    assert len(alarms) >= 5
    assert {json.dumps(each["AlarmActions"]) for each in alarms.values()} == {
        '[{"Ref": "AlarmTopic"}]'
    }
    assert "KmsMasterKeyId" not in topics["AlarmTopic"]
    assert topics["ChangesTopic"]["KmsMasterKeyId"] == "alias/aws/sns"


def test_the_dashboard_shows_every_alarm(expanded: Template) -> None:
    [dashboard] = _of(expanded, "AWS::CloudWatch::Dashboard").values()
    parts = dashboard["DashboardBody"]["Fn::Join"][1]
    body = "".join(each["Fn::Sub"] for each in parts)

    assert json.loads(body)["widgets"]
    alarms = _of(expanded, "AWS::CloudWatch::Alarm")
    assert [name for name in alarms if f"${{{name}.Arn}}" not in body] == []


def test_logs_are_kept_as_long_as_the_parameter_says(expanded: Template) -> None:
    logs = _of(expanded, "AWS::Logs::LogGroup").values()

    assert [each["RetentionInDays"] for each in logs] == [{"Ref": "LogRetentionDays"}] * len(logs)


def test_the_access_log_has_no_body_and_no_query(expanded: Template) -> None:
    [stage] = _of(expanded, "AWS::ApiGatewayV2::Stage").values()
    fields = json.loads(stage["AccessLogSettings"]["Format"])

    assert {"requestId", "route", "status", "latency", "caller"} <= set(fields)
    assert not any("query" in value.lower() or "body" in value.lower() for value in fields.values())


def test_the_outputs_name_what_an_operator_needs(memory: Template, dynamodb: Template) -> None:
    names = {"Endpoint", "FunctionName", "TopicArn", "AlarmTopicArn", "DashboardUrl"}

    assert set(memory["Outputs"]) == names
    assert set(dynamodb["Outputs"]) == names | {"TableName"}


def test_images_are_scanned_and_their_tags_do_not_change(pipeline: Template) -> None:
    [images] = _of(pipeline, "AWS::ECR::Repository").values()

    assert images["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert images["ImageTagMutability"] == "IMMUTABLE"
    [pulls] = images["RepositoryPolicyText"]["Statement"]
    assert pulls["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_artifacts_are_encrypted_private_and_go_over_tls_only(pipeline: Template) -> None:
    [bucket] = _of(pipeline, "AWS::S3::Bucket").values()
    [policy] = _of(pipeline, "AWS::S3::BucketPolicy").values()
    [statement] = policy["PolicyDocument"]["Statement"]

    assert bucket["BucketEncryption"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_production_comes_after_the_smoke_test_and_an_approval(pipeline: Template) -> None:
    [properties] = _of(pipeline, "AWS::CodePipeline::Pipeline").values()
    actions = [
        action["Name"]
        for stage in properties["Stages"]
        for action in sorted(stage["Actions"], key=lambda each: each.get("RunOrder", 1))
    ]

    assert actions == [
        *("Repository", "Build", "ChangeSet", "Deploy", "SmokeTest"),
        *("Approval", "ChangeSet", "Deploy"),
    ]


def test_only_cloudformations_role_makes_roles_and_nobody_else_may_pass_one_on(
    pipeline: Template,
) -> None:
    making = {
        role
        for role, actions, _ in _statements(pipeline)
        if any(each.startswith("iam:") and each != "iam:PassRole" for each in actions)
    }
    passing = {role for role, actions, _ in _statements(pipeline) if "iam:PassRole" in actions}

    assert making == {"DeployRole"}
    assert passing == {"DeployRole", "PipelineRole"}


def test_a_boundary_bounds_every_role_of_the_stack(sam: None) -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    bounded = _expanded(Engine="dynamodb", GradualDeployment="true", PermissionsBoundary=boundary)

    roles = _of(bounded, "AWS::IAM::Role")
    assert set(roles) == {"KvStoreRole", "FanOutRole", "PreTrafficHookRole", "DeploymentRole"}
    assert [name for name, role in roles.items() if "PermissionsBoundary" not in role] == []


def test_the_pipeline_makes_no_role_without_the_boundary_and_gives_it_to_both_stacks(
    pipeline: Template,
) -> None:
    [properties] = _of(pipeline, "AWS::CodePipeline::Pipeline").values()
    overrides = [
        action["Configuration"]["ParameterOverrides"]["Fn::Sub"]
        for stage in properties["Stages"]
        for action in stage["Actions"]
        if action["Name"] == "ChangeSet"
    ]
    [deploying] = _of(pipeline, "AWS::IAM::Role")["DeployRole"]["Policies"]
    conditions = [
        statement.get("Condition")
        for statement in deploying["PolicyDocument"]["Statement"]
        if {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"}
        & set(statement["Action"])
    ]

    assert [json.loads(each)["PermissionsBoundary"] for each in overrides] == ["${Boundary}"] * 2
    assert conditions == [{"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}]


def test_what_the_roles_of_the_stack_may_do_is_within_the_boundary(
    memory: Template, dynamodb: Template, pipeline: Template
) -> None:
    [boundary] = _of(pipeline, "AWS::IAM::ManagedPolicy").values()
    within = {
        action
        for statement in boundary["PolicyDocument"]["Statement"]
        for action in (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
    }

    for template in (memory, dynamodb):
        for role, actions, _ in _statements(template):
            assert set(actions) <= within, role
