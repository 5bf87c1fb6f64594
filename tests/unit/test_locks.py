import pytest

from tests.runtimes import ROOT

LOCKS = [
    "handler/requirements.txt",
    *(f"requirements/{name}.txt" for name in ("dev", "ministack", "release", "run", "sam")),
]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_of_a_lock_is_pinned_by_version_and_hash(lock: str) -> None:
    lines = (ROOT / lock).read_text().replace("\\\n", "").splitlines()
    requirements = [line for line in lines if not line.lstrip().startswith("#")]

    assert requirements
    assert [line for line in requirements if "==" not in line or "--hash=sha256:" not in line] == []
