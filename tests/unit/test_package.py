"""The template with the image that its functions run."""

from pathlib import Path

import pytest

from tools import package

TEMPLATE = Path("template.yaml").read_text()
IMAGE = "registry.example/kv-store@sha256:0123"


def test_the_image_is_a_default_and_nothing_else_changes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    package.main(IMAGE)

    before, after = TEMPLATE.splitlines(), capsys.readouterr().out.splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [f'    Default: "{IMAGE}"'] == changed


def test_a_parameter_that_the_template_does_not_have_is_refused() -> None:
    with pytest.raises(LookupError, match="no parameter Image with a default"):
        package.packaged(Image=IMAGE)
