#!/usr/bin/env bash
# Checks every shell file with shellcheck(1). Files without a first line of their
# own are parts of programs for sh(1) on a host: dash, or busybox.
#
# Left out: SC1007 (`name= command` clears a variable for that command), SC2034
# (fields that are read to be passed over), SC3013 (-nt, -ot and -ef, which dash
# and busybox have).
set -euo pipefail
cd "$(dirname "$0")/.."
left_out=SC1007,SC2034,SC3013
code=0
while IFS= read -r file; do
  options=(-S warning -e "$left_out")
  [ "$(head -c 2 "$file")" = '#!' ] || options+=(-s sh)
  shellcheck "${options[@]}" "$file" || code=1
done < <(git ls-files '*.sh' .ci/run)
exit "$code"
