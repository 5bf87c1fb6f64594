"""Runs a buildspec as CodeBuild does: one shell for all phases of a source without its history.

Version 0.2: a failed command ends its phase; post_build runs after a failed build as well, with
CODEBUILD_BUILD_SUCCEEDING at 0; each phase's `finally` runs whatever happened.
"""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import yaml

_PHASES = ("install", "pre_build", "build", "post_build")
# A build that failed there does not go on to the next phase, except after `build`.
_FATAL = {"install", "pre_build"}


class Build(NamedTuple):
    """A build that ended.

    Attributes:
        succeeded: Whether all of its phases did.
        output: What its commands wrote.
        exported: The variables that later stages of a pipeline get.
    """

    succeeded: bool
    output: str
    exported: dict[str, str]


def build(source: Path, folder: Path, spec: str, **environment: str) -> Build:
    """Run a buildspec on a source.

    Args:
        source: The folder of the source.
        folder: Where the script and its results go.
        spec: The buildspec's text.
        environment: The project's environment, CodeBuild's own variables among it.
    """
    parsed = yaml.safe_load(spec)
    assert parsed["version"] == 0.2
    shell = parsed["env"].get("shell", "sh")
    script, exported = folder / "script", folder / "exported"
    script.write_text(_script(parsed, exported))
    done = subprocess.run(
        [shell, script],
        cwd=source,
        env={**os.environ, **parsed["env"].get("variables", {}), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = exported.read_text().splitlines() if exported.exists() else []
    return Build(done.returncode == 0, done.stdout, dict(line.split("=", 1) for line in lines))


def _script(spec: dict[str, Any], exported: Path) -> str:
    """Return a shell script: a phase is a function, called where its failure can be seen."""
    lines = ["export CODEBUILD_BUILD_SUCCEEDING=1", "ended="]
    for phase in _PHASES:
        commands = spec["phases"].get(phase, {}).get("commands", [])
        finally_ = spec["phases"].get(phase, {}).get("finally", [])
        skip = "0" if phase == "post_build" else "1"
        lines.append(f'if [ "$CODEBUILD_BUILD_SUCCEEDING" -ge {skip} ] && [ -z "$ended" ]; then')
        lines.append(f"echo '# phase {phase}'; failed=")
        for command in commands:
            # An eval in the same shell: what it sets stays, and its failure ends the phase.
            quoted = shlex.quote(command)
            lines.append(f'if [ -z "$failed" ]; then eval {quoted}')
            lines.append('[ "$?" = 0 ] || { failed=1; CODEBUILD_BUILD_SUCCEEDING=0; }; fi')
        lines.extend(f"eval {shlex.quote(command)}" for command in finally_)
        if phase in _FATAL:
            lines.append('[ -z "$failed" ] || ended=1')
        lines.append("fi")
    names = spec["env"].get("exported-variables", [])
    lines.extend(f'echo "{name}=${name}" >>{shlex.quote(str(exported))}' for name in names)
    lines.append('exit "$((1 - CODEBUILD_BUILD_SUCCEEDING))"')
    return "\n".join(lines) + "\n"
