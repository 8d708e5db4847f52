#!/usr/bin/env bash
# Runs all tests, those on real hosts included. On a fresh Debian or Ubuntu
# machine with Rust it installs what is missing (as root, or with sudo) and
# starts a Docker engine if none runs; an engine that runs is left alone.
#   tests/run.sh             everything
#   tests/run.sh --prepare   only what the machine needs
#   tests/run.sh --fast      without real hosts
set -euo pipefail
cd "$(dirname "$0")/.."

root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

install_missing() {
  local missing=()
  have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
  have cc || missing+=(gcc libc6-dev)
  have c++ || missing+=(g++)
  have pkg-config || missing+=(pkg-config)
  pkg-config --exists openssl 2>/dev/null || missing+=(libssl-dev)
  have sshd || missing+=(openssh-server)
  have ssh || missing+=(openssh-client)
  have ssh-keygen || missing+=(openssh-client)
  have mmdebstrap || missing+=(mmdebstrap)
  have dockerd || missing+=(docker.io)
  have python3 || missing+=(python3)
  have gpg || missing+=(gpg gpg-agent)
  have apt-ftparchive || missing+=(apt-utils)
  have busybox || missing+=(busybox-static)
  have redis-server || missing+=(redis-server)
  have node || missing+=(nodejs)
  have npm || missing+=(npm)
  have script || missing+=(bsdutils)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  [ -n "$(ls /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null)" ] || missing+=(faketime)
  if [ ${#missing[@]} -gt 0 ]; then
    echo "installing: ${missing[*]}"
    root apt-get -qq update
    root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -y install "${missing[@]}" >/dev/null
  fi
  # The browser in which the page of an audit is opened. On Ubuntu the package only
  # leads to a snap, which does not run everywhere: its tests are left out then.
  if ! have chromium && ! grep -qs '^ID=ubuntu' /etc/os-release; then
    root apt-get -qq -y install --no-install-recommends chromium >/dev/null || true
  fi
  # The Engine API's own description, of the version that the gateway's tables are
  # checked against.
  if grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release &&
    [ ! -e /usr/share/gocode/src/github.com/docker/docker/api/swagger.yaml ]; then
    root apt-get -qq -y install --no-install-recommends golang-github-docker-docker-dev python3-yaml >/dev/null || true
  fi
  # The tests start an sshd of their own, which wants this directory.
  root mkdir -p /run/sshd
}

engine_answers() { docker version >/dev/null 2>&1; }

start_engine() {
  engine_answers && return
  if root docker version >/dev/null 2>&1; then
    echo "a Docker engine runs, but you may not use it: join the group 'docker', or run this as root" >&2
    exit 1
  fi
  local log; log=$(mktemp)
  echo "starting a Docker engine (log: $log)"
  root setsid dockerd >"$log" 2>&1 </dev/null &
  for _ in $(seq 120); do engine_answers && return; sleep 0.5; done
  echo "the Docker engine does not answer; the end of its log:" >&2
  tail -n 20 "$log" >&2
  exit 1
}

install_missing
if [ "${1:-}" != --fast ]; then start_engine; fi
if [ "${1:-}" = --prepare ]; then exit 0; fi
# The Docker clients whose flows are run through the gateway, and what judges hardened
# hosts, while the tests are built.
clients=
if [ "${1:-}" != --fast ]; then
  (gateway/tests/clients/install.sh && tests/harden/install.sh) &
  clients=$!
fi
fast=()
if [ "${1:-}" = --fast ]; then fast=(--fast); fi

# What tests run is not part of the record of whoever runs them.
state=$(mktemp -d)
export XDG_STATE_HOME=$state
unset STOCKADE_RECORD
# A failed assertion says what is wrong; its stack would bury that.
export RUST_BACKTRACE=${STOCKADE_TEST_BACKTRACE:-0}

# All test programs run, whatever fails.
log=$(mktemp)
trap 'rm -rf "$log" "$state"; [ -z "$clients" ] || kill "$clients" 2>/dev/null || true' EXIT
code=0
cargo test --workspace --locked --no-run --message-format=json-render-diagnostics >"$state/built"
[ -z "$clients" ] || wait "$clients"
clients=
python3 tests/programs.py "${fast[@]}" "$log" <"$state/built" || code=$?
cargo test --workspace --locked --doc >>"$log" 2>&1 || code=$?
if [ $code != 0 ]; then cat "$log"; else grep -E '^(     Running|   Doc-tests|test |test result)' "$log"; fi
# The number before a word, over all result lines.
count() { awk -v word="$1" '/^test result:/ { for (i = 2; i <= NF; i++) if ($i ~ "^" word) n += $(i - 1) } END { print n + 0 }' "$log"; }
echo
grep -E '^ +[0-9]+ injected|^seed [0-9]|faults injected' "$log" || true
sed -n 's/^clients: //p' "$log"
grep -E '^(bypass table|set-ups|situations): ' "$log" || true
python3 tests/situations.py "$log"
# A test that failed beside others and passed alone is told, with what it said.
flaky=$(grep -c '^flaky: ' "$log" || true)
echo "$(($(count passed) + flaky)) passed ($flaky of them when run again, alone), $(($(count failed) - flaky)) failed, $(count ignored) ignored"
# Last, where the end of a long output is all that is kept: what has failed, and why.
if [ $code != 0 ] || [ "$flaky" != 0 ]; then
  awk '
    NR == FNR { if (/^test .* \.\.\. FAILED$/) failed[$2] = 1; next }
    /^---- .* stdout ----$/ { of = ($2 in failed) ? $2 : ""; left = 0 }
    /^(successes|failures):$/ { of = ""; left = 0 }
    of != "" && / panicked at / { left = 16 }
    left > 0 { print of ": " substr($0, 1, 600); left-- }
  ' "$log" "$log"
  grep -E '^(test .* \.\.\. FAILED|flaky: .*|failed twice: .*)$' "$log" || true
fi
exit $code
