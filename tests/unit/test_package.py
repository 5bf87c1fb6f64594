"""The template with the image that its functions run."""

import re
from pathlib import Path

import pytest

from tools import package

TEMPLATE = Path("template.yaml").read_text()
IMAGE = "registry.example/kv-store@sha256:0123"


def test_the_image_and_the_release_are_the_defaults_and_nothing_else_changes() -> None:
    before, after = TEMPLATE.splitlines(), package.packaged(IMAGE, "1a2b").splitlines()

    changed = {new for old, new in zip(before, after, strict=True) if old != new}
    assert {f'    Default: "{IMAGE}"', '    Default: "1a2b"'} == changed


def test_a_release_may_be_left_out() -> None:
    assert TEMPLATE.count('Default: ""') - 1 == package.packaged(IMAGE).count('Default: ""')


def test_a_template_that_names_an_image_already_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "template.yaml"
    named.write_text(package.packaged(IMAGE))
    monkeypatch.setattr(package, "TEMPLATE", named)

    with pytest.raises(LookupError, match=re.escape("no parameter ImageUri with an empty default")):
        package.packaged(IMAGE)
