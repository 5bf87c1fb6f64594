"""Who may do what: the roles of the stack, and of the pipeline that deploys it."""

import json
import re

from tests.runtimes import SAM, run, sam_environment
from tests.templates import Template, actions_of, expanded_with, of, statements

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


def test_what_the_roles_of_the_stack_may_do_is_within_the_boundary(
    memory: Template, dynamodb: Template, pipeline: Template
) -> None:
    [boundary] = of(pipeline, "AWS::IAM::ManagedPolicy").values()
    within = {
        action
        for statement in boundary["PolicyDocument"]["Statement"]
        for action in (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
    }

    for template in (memory, dynamodb):
        for role, actions, _ in statements(template):
            assert set(actions) <= within, role
