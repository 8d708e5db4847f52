#!/usr/bin/env bash
# The benchmark: stockade against ssh, pyinfra, Ansible and a shell script on
# lab hosts. Prints a Markdown report; ends with 1 when a target is missed.
#   tests/bench/run.sh [--runs N] [--first-runs N] [--hosts N] [--base B]
#                      [--only rivals|first|fleet|safety|audit]...
# Ansible and pyinfra go into a virtual environment outside the repository:
# $STOCKADE_BENCH_VENV, or stockade/bench-venv in the user's cache.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/run.sh --prepare >&2
cargo build --release --locked >&2

venv=${STOCKADE_BENCH_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/stockade/bench-venv}
if [ ! -x "$venv/bin/pyinfra" ] || [ ! -x "$venv/bin/ansible-playbook" ]; then
  python3 -m venv "$venv"
  # The ansible package 12 is ansible-core 2.19 with the usual collections.
  "$venv/bin/pip" --quiet install 'ansible>=12,<13' 'pyinfra>=3,<4' >&2
fi
"$venv/bin/ansible" --version | head -n 1
"$venv/bin/pyinfra" --version
ssh -V 2>&1

# Each systemd takes about seven inotify instances, and twenty of them more than
# the kernel's default of 128 for one user: raised for as long as this runs.
limit=/proc/sys/fs/inotify/max_user_instances
before=$(cat $limit)
if [ "$before" -lt 1024 ] && [ -w $limit ]; then
  trap 'echo "$before" >$limit' EXIT
  echo 1024 >$limit
fi

target=${CARGO_TARGET_DIR:-target}
python3 tests/bench/measure.py --stockade "$target/release/stockade" --venv "$venv" "$@"
