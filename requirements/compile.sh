#!/usr/bin/env bash
# Writes the locks anew from pyproject.toml: every package pinned, with the hashes of its files.
# Usage: requirements/compile.sh            keeps the pins that still fit
#        requirements/compile.sh --upgrade  takes the newest releases
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND="requirements/compile.sh"

lock() { # file, then what it is made from
  local file=$1
  shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --output-file "$file" "$@"
}

lock requirements/run.txt pyproject.toml --group hatch "$@"
lock requirements/dev.txt pyproject.toml --group hatch --group dev --constraint requirements/run.txt "$@"
lock requirements/sam.txt --group sam "$@"
lock requirements/ministack.txt --group ministack "$@"
lock requirements/release.txt --group release "$@"
lock handler/requirements.txt --group image --constraint requirements/run.txt "$@"
