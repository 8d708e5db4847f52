#!/usr/bin/env bash
# Runs docker-py's own integration suite twice, straight to a daemon and through
# the gateway with a token of role operator, and compares the two test by test.
#
#   docker-py-suite.sh CHECKOUT [RESULTS]
#
# CHECKOUT is a clone of github.com/docker/docker-py at 7.1.0. RESULTS gets
# direct.xml, through.xml and the gateway's audit log; without it they are
# thrown away. The suite prunes, makes swarms and publishes fixed ports, so it
# gets a daemon of its own in a network of its own, with a registry in it that
# stands for Docker Hub. Needs root, and what install.sh installs.
#   STOCKADE_GATEWAY   the program (target/debug/stockade-gateway)
#   STOCKADE_CLIENTS   where install.sh put the clients (target/clients)
#   SUITE_TESTS        which tests (all), as arguments of pytest
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../../.." && pwd)
checkout=$(cd "${1:?the checkout of docker-py}" && pwd)
gateway=${STOCKADE_GATEWAY:-$tree/target/debug/stockade-gateway}
clients=${STOCKADE_CLIENTS:-$tree/target/clients}
work=$(mktemp -d /tmp/docker-py-suite.XXXXXX)
results=${2:-$work/results}
mkdir -p "$results" "$work/bin"
results=$(cd "$results" && pwd)

ended() {
  local pid
  [ -f "$work/gateway.pid" ] && kill "$(cat "$work/gateway.pid")" 2>/dev/null
  # The daemon ends its containers and its containerd.
  for pid in $(cat "$work/dockerd.pid" 2>/dev/null) $(cat "$work/registry.pid" 2>/dev/null); do
    kill "$pid" 2>/dev/null
    for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  done
  grep " $work/" /proc/self/mounts | cut -d' ' -f2 | sort -r | xargs -r umount -l
  rm -rf "$work"
}
trap ended EXIT

cat >"$work/registry.yml" <<REGISTRY
version: 0.1
storage: { filesystem: { rootdirectory: $work/registry } }
http: { addr: 127.0.0.1:5000 }
REGISTRY
export work clients
unshare --net --mount sh -c '
  ip link set lo up
  "$clients/registry/usr/bin/docker-registry" serve "$work/registry.yml" >"$work/registry.log" 2>&1 & echo $! >"$work/registry.pid"
  exec dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/dockerd.pid" \
    -H "unix://$work/docker.sock" --registry-mirror http://127.0.0.1:5000 >"$work/dockerd.log" 2>&1
' </dev/null &
for _ in $(seq 300); do docker -H "unix://$work/docker.sock" version >/dev/null 2>&1 && break; sleep 0.1; done
docker() { env -u DOCKER_CONTEXT -u DOCKER_TLS_VERIFY DOCKER_HOST="unix://$work/docker.sock" DOCKER_CONFIG="$work/none" "$(type -P docker)" "$@"; }
docker version >/dev/null || { tail -n 20 "$work/dockerd.log" >&2; exit 1; }

# Four images with different ids: a prune takes the further tags of an image in use.
seed() {
  local name
  for name in alpine:3.10 alpine:latest busybox:latest hello-world:latest; do
    docker image inspect "$name" >/dev/null 2>&1 && continue
    docker import --message "$name" --change 'CMD ["/bin/sh"]' - "$name" <"$work/image.tar" >/dev/null
    docker tag "$name" "127.0.0.1:5000/library/$name"
    docker push -q "127.0.0.1:5000/library/$name" >/dev/null
    docker rmi "127.0.0.1:5000/library/$name" >/dev/null
  done
  docker rmi hello-world:latest >/dev/null
}
"$here/image.sh" >"$work/image.tar"
seed

"$gateway" keys init "$work/keys" >/dev/null
cat >"$work/gateway.toml" <<GATEWAY
local = "$work/local.sock"
socket = "$work/docker.sock"
admin = "$work/admin.sock"
keys = "$work/keys"
store = "redb:$work/store.redb"
issuer = "https://gateway.test"
audience = "gateway.test"
audit = "$results/audit.log"
[token]
max_lifetime = 7200
GATEWAY
"$gateway" serve --config "$work/gateway.toml" 2>"$work/gateway.log" & echo $! >"$work/gateway.pid"
for _ in $(seq 100); do [ -S "$work/admin.sock" ] && break; sleep 0.1; done
[ -S "$work/admin.sock" ] || { cat "$work/gateway.log" >&2; exit 1; }
(umask 077; "$gateway" token issue --config "$work/gateway.toml" --subject suite --role operator --lifetime 7200 |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])' >"$work/token")
# docker-py sends the headers of config.json with most requests only: not with
# attach_socket. So it gets a socket that adds the token.
mkfifo "$work/open"
python3 "$here/relay.py" "$work/relay.sock" "$work/local.sock" "$work/token" <"$work/open" >/dev/null &
exec 9>"$work/open"
for _ in $(seq 100); do [ -S "$work/relay.sock" ] && break; sleep 0.1; done

suite() { # NAME SOCKET
  echo "$1 …" >&2
  (cd "$checkout" && env -u DOCKER_CONTEXT HOME="$work" DOCKER_HOST="unix://$2" DOCKER_CONFIG="$work/none" DOCKER_TEST_API_VERSION=1.41 \
    "$clients/py/bin/python" -m pytest -q -p no:cacheprovider --timeout 60 --junitxml "$results/$1.xml" \
    ${SUITE_TESTS:-tests/integration} >"$results/$1.log" 2>&1) || true
  # What a test left behind is not for the next run.
  docker swarm leave --force >/dev/null 2>&1 || true
  docker ps -aq | xargs -r "$(type -P docker)" -H "unix://$work/docker.sock" rm -fv >/dev/null 2>&1 || true
  docker plugin ls -q | xargs -r "$(type -P docker)" -H "unix://$work/docker.sock" plugin rm -f >/dev/null 2>&1 || true
  docker network prune -f >/dev/null; docker volume prune -f >/dev/null
  seed
}
mkdir -p "$work/none"
suite direct "$work/docker.sock"
suite through "$work/relay.sock"
python3 "$here/compare.py" "$results/direct.xml" "$results/through.xml"
