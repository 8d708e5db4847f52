#!/usr/bin/env bash
# The gateway beside HAProxy with the same TLS and token verification, before
# this machine's Docker engine, with wrk on loopback. Prints a table; ends with
# 1 when a target is missed.
#   tests/bench/gateway.sh [--seconds N] [--program PATH]
# Without --program the gateway is built as it is put on hosts.
set -euo pipefail
cd "$(dirname "$0")/../.."
for need in haproxy wrk openssl python3 docker; do
  command -v "$need" >/dev/null || { echo "$need is missing; apt-get install haproxy wrk openssl python3 docker.io" >&2; exit 1; }
done
program=
case " $* " in *" --program "*) ;; *)
  target=x86_64-unknown-linux-gnu
  RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --profile gateway --package stockade-gateway --target $target >&2
  # The linker leaves the symbols of a static program in place.
  strip --strip-all "${CARGO_TARGET_DIR:-target}/$target/gateway/stockade-gateway"
  program="--program ${CARGO_TARGET_DIR:-target}/$target/gateway/stockade-gateway"
esac
ulimit -n "$(ulimit -Hn)"
# shellcheck disable=SC2086
exec python3 tests/bench/gateway.py $program "$@"
