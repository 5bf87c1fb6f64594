#!/usr/bin/env bash
# Sets kv-store up on a fresh machine and runs it. `bash build.sh help` lists what it does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly bin=.venv/bin
readonly store_address=http://127.0.0.1:3000

usage() {
  cat <<'TEXT'
bash build.sh run              start a store and open the kv-client shell on it; both end together
bash build.sh test [ARG…]      install what the tests need and run them (ARG…: pytest's)
bash build.sh server           serve a store on http://127.0.0.1:3000
bash build.sh server --docker  the same, from the container image under Lambda's emulator
bash build.sh stack [ENGINE]   deploy to an emulation of AWS, and open the shell on stack://kv-store
bash build.sh client           open the kv-client shell on http://127.0.0.1:3000
bash build.sh                  the menu
TEXT
}

die() {
  echo "build.sh: $*" >&2
  exit 1
}

# Older ones do not tell which process a redirection started.
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || die "bash 4.4 or newer is needed"

find_python() {
  local python
  for python in python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$python" >/dev/null && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      echo "$python"
      return
    fi
  done
  die "Python 3.11 or newer is needed: apt-get install python3 python3-venv"
}

# Debian parts venv from Python: where python3-venv is missing, an installer that is there will do.
make_environment() { # folder
  local python
  python=$(find_python)
  if command -v uv >/dev/null; then
    uv venv --quiet --clear --python "$python" "$1"
  elif "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv --clear "$1"
  elif "$python" -m pip --version >/dev/null 2>&1; then
    "$python" -m venv --clear --without-pip "$1"
  else
    die "Python's venv is not complete here: apt-get install python3-venv"
  fi
}

install_into() { # folder, then pip's arguments
  local folder=$1
  shift
  if command -v uv >/dev/null; then
    uv pip install --quiet --python "$folder/bin/python" "$@"
  elif [[ -x $folder/bin/pip ]]; then
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
  else
    "$(find_python)" -m pip --python "$folder/bin/python" install --quiet --disable-pip-version-check "$@"
  fi
}

# Installs a lock into an environment, unless one of the locks named is what it holds already.
set_up() { # folder, lock, other locks that hold all of it
  local folder=$1 lock=$2 known
  shift
  for known in "$@"; do
    if cmp --silent <(pwd && cat "$known") "$folder/installed"; then
      return
    fi
  done
  echo "build.sh: setting up $folder" >&2
  [[ -f $folder/installed ]] || make_environment "$folder"
  rm -f "$folder/installed"
  # A lock names all that is needed, so nothing is left to resolve.
  install_into "$folder" --no-deps --require-hashes --requirement "$lock"
  if [[ $folder == .venv ]]; then
    install_into "$folder" --no-deps --no-build-isolation --editable .
  fi
  (pwd && cat "$lock") >"$folder/installed"
}

set_up_client() {
  set_up .venv requirements/run.txt requirements/dev.txt
  # What kv-client keeps between two commands stays in the clone too.
  export XDG_STATE_HOME=$PWD/.venv/state
}

run() {
  [[ $# == 0 ]] || die "run takes no argument, such as $1"
  local store from_store line
  set_up_client
  # Ctrl-C is for the shell's command, not for the store.
  exec {from_store}< <(trap '' INT && exec "$bin/kv-client" --endpoint local:// serve --port 0)
  store=$!
  # shellcheck disable=SC2064 # the local variable is gone when the trap runs
  trap "kill $store 2>/dev/null && wait $store || true" EXIT
  read -r line <&"$from_store" || die "the store did not start"
  "$bin/kv-client" --endpoint "${line##* }" shell
}

run_tests() { # pytest's arguments
  set_up .venv requirements/dev.txt
  set_up .venv-sam requirements/sam.txt
  set_up .venv-ministack requirements/ministack.txt
  exec "$bin/pytest" "$@"
}

server() { # --docker, or nothing
  [[ $# == 0 || $* == --docker ]] || die "server takes --docker, not $*"
  set_up_client
  if [[ $# == 0 ]]; then
    exec "$bin/kv-client" --endpoint local:// serve
  fi
  local container address
  echo "build.sh: building the image" >&2
  docker build --quiet --tag kv-store . >/dev/null
  container=$(docker run --detach --rm --publish 127.0.0.1::8080 kv-store)
  # shellcheck disable=SC2064 # the local variable is gone when the trap runs
  trap "docker kill $container >/dev/null" EXIT
  address=$(docker port "$container" 8080/tcp)
  "$bin/kv-client" --endpoint "rie://$address" serve &
  # shellcheck disable=SC2064
  trap "kill $! 2>/dev/null || true; docker kill $container >/dev/null" EXIT
  wait $!
}

client() {
  [[ $# == 0 ]] || die "client takes no argument, such as $1"
  set_up_client
  exec "$bin/kv-client" --endpoint "$store_address" shell
}

stack() { # memory or dynamodb, or nothing
  [[ $# == 0 || $* == memory || $* == dynamodb ]] || die "stack takes memory or dynamodb, not $*"
  docker info >/dev/null 2>&1 || die "stack needs a Docker engine that answers"
  set_up_client
  set_up .venv-sam requirements/sam.txt
  set_up .venv-ministack requirements/ministack.txt
  exec "$bin/python" -m tools.cloud "$@"
}

menu() {
  local choice
  printf '1 server\n2 client\n' >&2
  read -r -p '> ' choice || die "no choice; bash build.sh help lists what there is"
  case $choice in
    1) server ;;
    2) client ;;
    *) die "the choice is 1 or 2, not $choice" ;;
  esac
}

command=${1:-menu}
[[ $# == 0 ]] || shift
case $command in
  run | server | client | stack | menu) "$command" "$@" ;;
  test) run_tests "$@" ;;
  help | --help | -h) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
