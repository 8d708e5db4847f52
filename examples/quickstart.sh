#!/usr/bin/env bash
# From a fresh Debian or Ubuntu machine with only Rust to a Docker host that
# one can log in to and use with an ordinary docker client through its token
# gateway: on a disposable host of this machine, in one go.
#   examples/quickstart.sh          takes the host down again at the end
#   examples/quickstart.sh --keep   leaves it, with the new user's key
# As root or with sudo, for the packages that are missing and for the engine.
set -euo pipefail
cd "$(dirname "$0")/.."

keep=
case "${1:-}" in
  '') ;;
  --keep) keep=yes ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 1 ;;
esac

say() { printf '\n== %s\n' "$*"; }

work=$(mktemp -d)
project=$work/project lab=$work/lab name=quickstart
target=$(rustc -vV | sed -n 's/^host: //p')
stockade=${CARGO_TARGET_DIR:-target}/$target/debug/stockade

finish() {
  local code=$?
  if [ -n "$keep" ] && [ $code = 0 ]; then
    say "kept"
    echo "log in:    ssh ${login[*]}"
    echo "take down: $stockade lab down --all --dir $lab && rm -r $work"
    return
  fi
  if [ -x "$stockade" ]; then "$stockade" lab down --all --dir "$lab" || true; fi
  rm -rf "$work"
  [ $code = 0 ] || echo "the quickstart failed (exit code $code)" >&2
}
trap finish EXIT
trap 'exit 130' INT TERM

# The record of runs stays with the host that they are about.
export XDG_STATE_HOME=$work/state

say "what this machine lacks"
tests/run.sh --prepare

# Both programs are static: the gateway then runs on any host of this machine's
# architecture, however old its C library. --target keeps the flags away from
# what was built without them.
say "build"
RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --target "$target"

say "a lab host, as fresh as a server from a cloud"
"$stockade" lab up --name $name --dir "$lab"

say "a project: examples/docker-host, with a key pair of your own"
cp -R examples/docker-host "$project"
rm "$project"/keys/*
"$stockade" keygen "$work/deploy" --comment deploy@quickstart --no-passphrase
cp "$work/deploy.pub" "$project/keys/"

say "certificates for its gateway, signed by an authority of your own"
"$stockade" ca init "$project/ca"
"$stockade" ca issue "$project/ca" -i "$lab/inventory.toml"

select=("$project/playbook.toml" -i "$lab/inventory.toml" --stage dev)

say "plan: what differs"
"$stockade" plan "${select[@]}"

say "apply: make it so"
"$stockade" apply "${select[@]}" --yes

say "plan again: nothing"
"$stockade" plan "${select[@]}" --detailed-exitcode

say "log in as the new user with a real ssh, and ask the Docker API"
port=$(sed -n "/^\[hosts\.$name\]/,/^port/s/^port = //p" "$lab/inventory.toml")
login=(-F none -i "$work/deploy" -o IdentitiesOnly=yes -o BatchMode=yes
  -o "UserKnownHostsFile=$lab/known_hosts" -o GlobalKnownHostsFile=/dev/null
  -o StrictHostKeyChecking=yes -p "$port" deploy@127.0.0.1)
ssh "${login[@]}" 'id && curl --fail --silent --show-error \
  --unix-socket /var/run/docker.sock http://localhost/images/json' | tee "$work/answer"
[ "$(tail -n 1 "$work/answer")" = '[]' ] || { echo "the Docker API did not list its images (none yet: [])" >&2; exit 1; }
echo

say "an ordinary docker client, with a token, through the gateway"
# There may be no registry: the image is one static program of this machine.
mkdir -p "$work/image/bin"
cp -L "$(command -v busybox)" "$work/image/bin/busybox"
tar -C "$work/image" -c . | ssh "${login[@]}" 'sudo docker import - box:1 >/dev/null'
export XDG_RUNTIME_DIR=$work/run DOCKER_CONFIG=$work/docker
mkdir -m 700 "$XDG_RUNTIME_DIR"
# The certificate is for the inventory's address. Only the host's SSH has a port
# there, so connect goes over SSH.
"$stockade" connect "$name" -i "$lab/inventory.toml" --role operator -- bash -euxc '
  docker run --detach --name hello box:1 /bin/busybox sleep 600
  docker ps
  docker exec hello /bin/busybox echo "hello from inside"
  docker rm --force hello'

say "done: the new user is in, and Docker answers those with a token"
