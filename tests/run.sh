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
  if [ ${#missing[@]} -gt 0 ]; then
    echo "installing: ${missing[*]}"
    root apt-get -qq update
    root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -y install "${missing[@]}" >/dev/null
  fi
  # The tests start an sshd of their own, which wants this directory.
  root mkdir -p /run/sshd
}

engine_answers() { docker version >/dev/null 2>&1; }

start_engine() {
  engine_answers && return
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
if [ "${1:-}" = --fast ]; then unset STOCKADE_NO_SKIP; export STOCKADE_FAST=1; fi

log=$(mktemp)
cargo test --locked 2>&1 | tee "$log"
passed=$(sed -n 's/^test result: .* \([0-9]*\) passed.*/\1/p' "$log" | paste -sd+ | bc 2>/dev/null || true)
skipped=$(grep -c '^SKIP' "$log" || true)
rm -f "$log"
echo "skipped: $skipped"
