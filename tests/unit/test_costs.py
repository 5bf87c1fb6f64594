"""What the docs say of costs comes from the script that they name."""

import re
import runpy

import pytest

from tests.runtimes import ROOT


@pytest.mark.parametrize(
    ("page", "part"),
    [("scaling", "per_million"), ("operations", "at_rest"), ("operations", "in_use")],
)
def test_the_costs_are_those_that_the_script_prints(page: str, part: str) -> None:
    script = runpy.run_path(str(ROOT / "benchmarks/costs.py"))

    written = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    assert " ".join(script[part]().split()) in " ".join(written.split())


def test_the_alarms_that_are_counted_are_those_of_the_template() -> None:
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    alarms = re.findall(
        r"^    Type: AWS::CloudWatch::Alarm\n(    Condition: Durable)?", template, re.MULTILINE
    )
    counts = f"its alarms, {alarms.count('')} or {len(alarms)}"

    assert counts in (ROOT / "docs/operations.md").read_text(encoding="utf-8")
