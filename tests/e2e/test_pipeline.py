"""The pipeline: what it makes, and in which order it goes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import codebuild
from tests.conftest import Deployed
from tests.runtimes import copy_of_checkout
from tests.templates import Template, of, statements


def test_images_are_scanned_and_their_tags_do_not_change(pipeline: Template) -> None:
    [images] = of(pipeline, "AWS::ECR::Repository").values()

    assert images["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert images["ImageTagMutability"] == "IMMUTABLE"


def test_no_image_expires_that_has_a_tag_as_all_have_that_are_deployed(pipeline: Template) -> None:
    [images] = of(pipeline, "AWS::ECR::Repository").values()
    rules = json.loads(images["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]

    assert [each["action"] for each in rules] == [{"type": "expire"}]
    assert [each["selection"]["tagStatus"] for each in rules] == ["untagged"]


def test_lambda_may_pull_images_for_the_functions_of_the_two_stacks_only(
    pipeline: Template,
) -> None:
    [images] = of(pipeline, "AWS::ECR::Repository").values()
    [pulls] = images["RepositoryPolicyText"]["Statement"]
    sources = pulls["Condition"]["StringLike"]["aws:SourceArn"]
    of_the_account = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"

    assert (pulls["Effect"], pulls["Principal"]) == ("Allow", {"Service": "lambda.amazonaws.com"})
    assert pulls["Action"] == ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    assert pulls["Condition"].keys() == {"StringLike"}
    assert {each["Fn::Sub"].removeprefix(of_the_account) for each in sources} == {
        *("${StagingStack}-*", "CodeDeployHook_${StagingStack}"),
        *("${ProductionStack}-*", "CodeDeployHook_${ProductionStack}"),
    }


def test_artifacts_are_encrypted_private_and_go_over_tls_only(pipeline: Template) -> None:
    [bucket] = of(pipeline, "AWS::S3::Bucket").values()
    [policy] = of(pipeline, "AWS::S3::BucketPolicy").values()
    [statement] = policy["PolicyDocument"]["Statement"]

    assert bucket["BucketEncryption"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_production_comes_after_the_smoke_test_and_an_approval(pipeline: Template) -> None:
    [properties] = of(pipeline, "AWS::CodePipeline::Pipeline").values()
    actions = [
        action["Name"]
        for stage in properties["Stages"]
        for action in sorted(stage["Actions"], key=lambda each: each.get("RunOrder", 1))
    ]

    assert actions == [
        *("Repository", "Build", "ChangeSet", "Deploy", "SmokeTest"),
        *("Approval", "ChangeSet", "Deploy"),
    ]


def test_the_source_is_a_connection_that_the_pipeline_may_use(pipeline: Template) -> None:
    [source] = _stages(pipeline)["Source"]
    using = [
        resources
        for role, actions, resources in statements(pipeline)
        if role == "PipelineRole" and "codeconnections:UseConnection" in actions
    ]

    assert source["ActionTypeId"]["Provider"] == "CodeStarSourceConnection"
    assert source["Configuration"]["ConnectionArn"] == {"Ref": "ConnectionArn"}
    assert source["Configuration"]["FullRepositoryId"] == {"Ref": "Repository"}
    assert source["Configuration"]["BranchName"] == {"Ref": "Branch"}
    assert using == [[{"Ref": "ConnectionArn"}]]


@pytest.mark.parametrize("stage", ["Staging", "Production"])
def test_each_stage_deploys_the_image_that_was_built_as_a_durable_stack(
    pipeline: Template, stage: str
) -> None:
    [configuration] = [
        action["Configuration"]
        for action in _stages(pipeline)[stage]
        if action["Name"] == "ChangeSet"
    ]
    overrides = json.loads(configuration["ParameterOverrides"]["Fn::Sub"])

    assert configuration["TemplatePath"] == "Packaged::packaged.yaml"
    assert configuration["StackName"] == {"Ref": f"{stage}Stack"}
    # A Release that stays would hide the image.
    assert (overrides["ImageUri"], overrides["Release"]) == ("#{Build.IMAGE}", "")
    assert (overrides["Engine"], overrides["GradualDeployment"]) == ("dynamodb", "true")


def test_the_build_may_run_docker_and_knows_the_repository(pipeline: Template) -> None:
    build = of(pipeline, "AWS::CodeBuild::Project")["Build"]

    assert build["Environment"]["PrivilegedMode"]
    assert build["Source"]["BuildSpec"] == "buildspec.yaml"
    assert [each["Name"] for each in build["Environment"]["EnvironmentVariables"]] == [
        "REPOSITORY_URI"
    ]


def test_the_pipeline_passes_on_no_role_but_to_cloudformation(pipeline: Template) -> None:
    [role] = of(pipeline, "AWS::IAM::Role")["PipelineRole"]["Policies"]
    [passing] = [
        each for each in role["PolicyDocument"]["Statement"] if each["Action"] == "iam:PassRole"
    ]

    assert passing["Resource"] == {"Fn::GetAtt": ["DeployRole", "Arn"]}
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}
    }


@pytest.mark.docker
def test_the_smoke_test_passes_on_a_stack_that_works_and_fails_without_one(
    pipeline: Template, dynamodb_stack: Deployed, tmp_path: Path
) -> None:
    project = of(pipeline, "AWS::CodeBuild::Project")["SmokeTest"]
    spec = project["Source"]["BuildSpec"]
    source = copy_of_checkout(tmp_path / "source")
    caller = dynamodb_stack.environment

    smoke = codebuild.build(source, tmp_path, spec, **caller, KV_TEST_ENDPOINT=dynamodb_stack.url)
    installed = yaml.safe_load(spec)
    del installed["phases"]["install"]
    other = codebuild.build(
        source, tmp_path, yaml.safe_dump(installed), **caller, KV_TEST_ENDPOINT="stack://none"
    )

    assert smoke.succeeded, smoke.output
    assert not other.succeeded


def _stages(pipeline: Template) -> dict[str, list[dict[str, Any]]]:
    [properties] = of(pipeline, "AWS::CodePipeline::Pipeline").values()
    return {stage["Name"]: stage["Actions"] for stage in properties["Stages"]}
