"""Who may do what: the roles of the stack, and of the pipeline that deploys it."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from tests.runtimes import SAM, run, sam_environment
from tests.templates import Template, actions_of, expanded_with, of, resolved, statements

# AWS has no resource for these actions.
_OF_NO_RESOURCE = {
    *("ecr:GetAuthorizationToken", "inspector2:ListFindings", "codedeploy:StopDeployment"),
    *("lambda:CreateEventSourceMapping", "lambda:ListEventSourceMappings"),
    *("logs:CreateLogDelivery", "logs:DeleteLogDelivery"),
    *("logs:DescribeIndexPolicies", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies"),
    *("logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy"),
    "logs:UpdateLogDelivery",
}

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

# What makes a resource, and how its ARN ends.
_MAKING = {
    "AWS::CloudWatch::Alarm": ("cloudwatch:PutMetricAlarm", "alarm:{}"),
    "AWS::CloudWatch::Dashboard": ("cloudwatch:PutDashboard", "dashboard/{}"),
    "AWS::CodeDeploy::Application": ("codedeploy:CreateApplication", "application:{}"),
    "AWS::CodeDeploy::DeploymentGroup": ("codedeploy:CreateDeploymentGroup", "deploymentgroup:{}"),
    "AWS::DynamoDB::Table": ("dynamodb:CreateTable", "table/{}"),
    "AWS::IAM::Role": ("iam:CreateRole", "role/{}"),
    "AWS::Lambda::Function": ("lambda:CreateFunction", "function:{}"),
    "AWS::Logs::LogGroup": ("logs:CreateLogGroup", "log-group:{}:*"),
    "AWS::SNS::Topic": ("sns:CreateTopic", "{}"),
    "AWS::SQS::Queue": ("sqs:CreateQueue", "{}"),
}
_OF_NO_REGION = {"AWS::CloudWatch::Dashboard", "AWS::IAM::Role"}
_NAMED = ("FunctionName", "LogGroupName", "DashboardName")
_STACKS = {"StagingStack": "kv-store-staging", "ProductionStack": "kv-store-prod"}
_NAMES = _STACKS | {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "Images.Arn": "arn:aws:ecr:us-east-1:123456789012:repository/images",
}


def _made(template: Template, stack: str) -> Iterator[tuple[str, str, str]]:
    """Yield what is named after a stack: its name in the template, what makes it, its ARN."""
    for name, each in template["Resources"].items():
        if each["Type"] in _MAKING:
            action, ending = _MAKING[each["Type"]]
            own = [each["Properties"][given] for given in _NAMED if given in each["Properties"]]
            called = resolved(
                own[0] if own else f"{stack}-{name}-ABC123DEF456",
                {**_NAMES, "AWS::StackName": stack},
            )
            region = "" if each["Type"] in _OF_NO_REGION else "us-east-1"
            service = action.partition(":")[0]
            yield name, action, f"arn:aws:{service}:{region}:123456789012:{ending.format(called)}"


def _may(pipeline: Template, who: str, action: str, resource: str) -> bool:
    """Tell whether a role of the pipeline, or the boundary, allows an action on a resource."""
    return any(
        fnmatchcase(resource, resolved(pattern, _NAMES))
        for name, actions, patterns in statements(pipeline)
        if name == who and action in actions
        for pattern in patterns
    )


def test_actions_and_resources_of_the_roles_are_named(
    expanded: Template, pipeline: Template
) -> None:
    for template in (expanded, pipeline):
        for role, actions, resources in statements(template):
            assert [each for each in actions if "*" in each] == [], role
            if "*" in resources:
                assert set(actions) <= _OF_NO_RESOURCE, role


def test_policies_name_the_service_of_a_resource_and_one_for_each_action(
    expanded: Template, pipeline: Template
) -> None:
    for template in (expanded, pipeline):
        for role, actions, resources in statements(template):
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

    lacking = set(json.loads(said)) - actions_of(pipeline, "DeployRole")
    assert [each for each in lacking if not _UNASKED.fullmatch(each)] == []


def test_only_with_memory_the_function_itself_publishes(
    memory: Template, dynamodb: Template
) -> None:
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}

    assert actions_of(memory, "KvStoreRole") == logs | {"sns:Publish"}
    assert {each.partition(":")[0] for each in actions_of(dynamodb, "KvStoreRole") - logs} == {
        "dynamodb"
    }


def test_only_cloudformations_role_makes_roles_and_nobody_else_may_pass_one_on(
    pipeline: Template,
) -> None:
    making = {
        role
        for role, actions, _ in statements(pipeline)
        if any(each.startswith("iam:") and each != "iam:PassRole" for each in actions)
    }
    passing = {role for role, actions, _ in statements(pipeline) if "iam:PassRole" in actions}

    assert making == {"DeployRole"}
    assert passing == {"DeployRole", "PipelineRole"}


def test_a_boundary_bounds_every_role_of_the_stack(sam: None) -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    bounded = expanded_with(
        Engine="dynamodb", GradualDeployment="true", PermissionsBoundary=boundary
    )

    roles = of(bounded, "AWS::IAM::Role")
    assert set(roles) == {"KvStoreRole", "FanOutRole", "PreTrafficHookRole", "DeploymentRole"}
    assert [name for name, role in roles.items() if "PermissionsBoundary" not in role] == []


def test_the_pipeline_makes_no_role_without_the_boundary_and_gives_it_to_both_stacks(
    pipeline: Template,
) -> None:
    [properties] = of(pipeline, "AWS::CodePipeline::Pipeline").values()
    overrides = [
        action["Configuration"]["ParameterOverrides"]["Fn::Sub"]
        for stage in properties["Stages"]
        for action in stage["Actions"]
        if action["Name"] == "ChangeSet"
    ]
    [deploying] = of(pipeline, "AWS::IAM::Role")["DeployRole"]["Policies"]
    conditions = [
        statement.get("Condition")
        for statement in deploying["PolicyDocument"]["Statement"]
        if {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"}
        & set(statement["Action"])
    ]

    assert [json.loads(each)["PermissionsBoundary"] for each in overrides] == ["${Boundary}"] * 2
    assert conditions == [{"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}]


@pytest.mark.parametrize("stack", _STACKS.values())
def test_what_the_roles_of_the_stack_may_do_is_within_the_boundary(
    memory: Template, dynamodb: Template, pipeline: Template, stack: str
) -> None:
    for template in (memory, dynamodb):
        arns = {name: arn for name, _, arn in _made(template, stack)}
        names = {**_NAMES, "AWS::StackName": stack, **arns}
        names |= {f"{name}.Arn": arn for name, arn in arns.items()}
        names["KvStoreTable.StreamArn"] = f"{arns.get('KvStoreTable')}/stream/2026-11-24"
        beyond = [
            (role, action, resolved(resource, names))
            for role, actions, resources in statements(template)
            for action in actions
            for resource in resources
            if not _may(pipeline, "Boundary", action, resolved(resource, names))
        ]
        assert beyond == []


@pytest.mark.parametrize("stack", _STACKS.values())
def test_cloudformation_may_make_what_is_named_after_the_two_stacks_and_nothing_of_another(
    dynamodb: Template, pipeline: Template, stack: str
) -> None:
    lacking = [
        arn
        for _, action, arn in _made(dynamodb, stack)
        if not _may(pipeline, "DeployRole", action, arn)
    ]
    another = [
        arn
        for _, action, arn in _made(dynamodb, f"{stack}uction")
        if _may(pipeline, "DeployRole", action, arn)
    ]

    assert (lacking, another) == ([], [])
