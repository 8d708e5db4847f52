#!/usr/bin/env bash
# Installs the client libraries that the tests of clients run (../clients.rs)
# from their package registries, at fixed versions, into one directory outside
# the sources: target/clients, or $STOCKADE_CLIENTS. What is there stays.
#   py/        docker-py, testcontainers, and pytest for docker-py's own suite
#   compose/   docker-compose 1.29
#   node/      dockerode, testcontainers
#   bollard/   the build of bollard/ beside this file
#   registry/  the registry of Debian's package docker-registry
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../../.." && pwd)
to=${STOCKADE_CLIENTS:-$tree/target/clients}
mkdir -p "$to"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# step NAME VERSIONS COMMAND…: once for these versions; its output is shown only if it fails.
step() {
  local name=$1 versions=$2
  shift 2
  [ "$(cat "$to/$name.done" 2>/dev/null)" = "$versions" ] && return
  echo "installing for the tests of clients: $name"
  "$@" >"$log" 2>&1 || { cat "$log" >&2; echo "$name cannot be installed" >&2; exit 1; }
  echo "$versions" >"$to/$name.done"
}

python() { # NAME WORDS OF PIP…
  local name=$1
  shift
  rm -rf "${to:?}/$name"
  python3 -m venv "$to/$name"
  "$to/$name/bin/pip" -q --disable-pip-version-check install "$@"
}
node() {
  mkdir -p "$to/node"
  [ -f "$to/node/package.json" ] || echo '{"private": true}' >"$to/node/package.json"
  (cd "$to/node" && npm install --silent --no-audit --no-fund "$@")
}
registry() {
  rm -rf "$to/registry"
  mkdir -p "$to/registry"
  # Unpacked, not installed: its service is not wanted.
  (cd "$to/registry" && apt-get -qq download docker-registry && dpkg -x docker-registry*.deb . && rm docker-registry*.deb)
}

step py 'docker 7.1.0, testcontainers 4.15.0, pytest 7.4.2' \
  python py docker==7.1.0 testcontainers==4.15.0 pytest==7.4.2 pytest-timeout==2.1.0 paramiko websocket-client
# 1.29 is of 2021 and the last that speaks the Engine API without BuildKit. It
# gets libraries of its time, but for PyYAML, whose release of then builds no more.
step compose 'docker-compose 1.29.2, docker 5.0.3' \
  python compose --no-deps docker-compose==1.29.2 docker==5.0.3 'requests<2.32' 'urllib3<2' PyYAML==6.0.2 \
  'jsonschema<4' 'websocket-client<1' 'texttable<2' 'python-dotenv<1' 'distro<2' 'setuptools<81' \
  dockerpty docopt six attrs pyrsistent certifi charset-normalizer idna
# The last testcontainers that runs on Node 18, which Debian 12 has.
step node 'dockerode 5.0.1, testcontainers 10.28.0' node dockerode@5.0.1 testcontainers@10.28.0
step registry 'docker-registry' registry
step bollard "bollard $(cksum <"$here/bollard/Cargo.lock") $(cksum <"$here/bollard/src/main.rs")" \
  env CARGO_TARGET_DIR="$to/bollard" cargo build --locked --manifest-path "$here/bollard/Cargo.toml"
