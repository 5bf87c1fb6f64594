"""What docs/scaling.md says comes from the scripts that it names."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_costs_are_those_that_the_script_prints() -> None:
    script = runpy.run_path(str(ROOT / "benchmarks/costs.py"))

    assert script["table"]() in (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
