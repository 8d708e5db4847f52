#!/usr/bin/env bash
# Installs what the tests of hardening profiles judge hosts with, from its package
# registry at a fixed version, into one directory outside the sources: target/harden,
# or $STOCKADE_HARDEN. What is there stays.
#   ssh-audit   policies of SSH servers by release, seen from outside (../harden_ssh.rs)
set -euo pipefail
tree=$(cd "$(dirname "$0")/../.." && pwd)
to=${STOCKADE_HARDEN:-$tree/target/harden}
version=ssh-audit==3.9
[ "$(cat "$to/done" 2>/dev/null)" = "$version" ] && exit
echo "installing for the tests of hardening profiles: $version"
mkdir -p "$to"
python3 -m venv "$to/py"
"$to/py/bin/pip" install --quiet --disable-pip-version-check "$version"
echo "$version" >"$to/done"
