#!/usr/bin/env bash
# The docker command line: its calls, each with what must come of it.
#
# Run once straight to the daemon and once through the gateway (../clients.rs):
# DOCKER_HOST and DOCKER_CONFIG say which. Prints `ok NAME` or `not ok NAME:: why`
# a line. BuildKit is not asked for: DOCKER_BUILDKIT=0.
set -u
image=${CLIENTS_IMAGE:?} registry=${CLIENTS_REGISTRY:?} n=${CLIENTS_NAME:?} work=${CLIENTS_WORK:?}
export DOCKER_BUILDKIT=0
cd "$work" || exit 1

say() { printf '%s' "$*" | tr '\n' ' ' | tail -c 400; echo; }
# run COMMAND…: what it prints is in $out, how it ended in $code. `pipe TEXT` is
# for the shell, `terminal TEXT` too, with a terminal.
run() {
  case $1 in
    pipe) set -- bash -c "$2" ;;
    terminal) set -- script -qec "$2" /dev/null ;;
  esac
  out=$(timeout 60 "$@" 2>&1 </dev/null); code=$?
}
# try NAME PATTERN COMMAND…: it succeeds and what it prints matches.
try() {
  local name=$1 pattern=$2 out code
  shift 2
  run "$@"
  if [ $code = 0 ] && [[ $out =~ $pattern ]]; then echo "ok $name"
  else echo "not ok $name:: $(say "exit $code: $out")"; fi
}
# fails CODE NAME PATTERN COMMAND…: it ends with that code, and says why.
fails() {
  local expected=$1 name=$2 pattern=$3 out code
  shift 3
  run "$@"
  if [ $code = "$expected" ] && [[ $out =~ $pattern ]]; then echo "ok $name"
  else echo "not ok $name:: $(say "exit $code: $out")"; fi
}
hex='[0-9a-f]{12}'

# --- the daemon
try 'version' 'Server:.*API version' docker version
try 'version -f' '^1\.[0-9]+' docker version -f '{{.Server.APIVersion}}'
try 'info' 'Storage Driver' docker info
try 'info -f' '^linux' docker info -f '{{.OSType}}'
try 'system df' 'Local Volumes' docker system df
try 'system df -v' 'Images space usage' docker system df -v
try 'system info' 'Server Version' docker system info

# --- run, with the flags that are common
try 'run --rm' '^hello$' docker run --rm "$image" echo hello
fails 7 'run: the exit code is the command'\''s' '^$' docker run --rm "$image" sh -c 'exit 7'
try 'run -d --name --label' '^[0-9a-f]{64}$' docker run -d --name "$n-a" --label "$n" --label kind=first "$image" sh -c 'trap "exit 0" TERM; echo one; echo two >&2; while :; do sleep 0.2; done'
try 'run -i' '^from stdin$' pipe "echo from stdin | docker run --rm -i $image cat"
try 'run -it' 'a terminal' terminal "docker run --rm -it $image sh -c 'test -t 0 && echo a terminal'"
try 'run -e --env-file -w -u -h' 'E=1 F=2 /tmp 65534 hosty' pipe "echo F=2 >env; docker run --rm -e E=1 --env-file env -w /tmp -u 65534:65534 -h hosty $image sh -c 'echo E=\$E F=\$F \$(pwd) \$(id -u) \$(hostname)'"
try 'run --memory --cpus --pids-limit --memory-swap' '^67108864' docker run --rm --memory 64m --memory-swap 64m --cpus 0.5 --pids-limit 50 "$image" sh -c 'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes'
try 'run -v NAME:/path' '^kept' pipe "docker run --rm -v $n-v1:/data $image sh -c 'echo kept >/data/f' && docker run --rm -v $n-v1:/data:ro $image cat /data/f"
try 'run --mount type=volume' '^kept' docker run --rm --mount "type=volume,source=$n-v1,target=/data,readonly" "$image" cat /data/f
try 'run --tmpfs --read-only --shm-size' '^fine' docker run --rm --read-only --tmpfs /scratch:size=1m --shm-size 8m "$image" sh -c 'touch /scratch/x && ! touch /y 2>/dev/null && echo fine'
try 'run -p' '^[0-9]+/tcp|0.0.0.0:|127.0.0.1:' pipe "docker run -d --name $n-p --label $n -p 127.0.0.1::80 $image sleep 600 >/dev/null && docker port $n-p"
try 'run --add-host --dns --dns-search' '10.9.8.7.*added' docker run --rm --add-host added:10.9.8.7 --dns 127.0.0.1 --dns-search example.test "$image" cat /etc/hosts
try 'run --ulimit --stop-signal --stop-timeout --init' '^99$' docker run --rm --ulimit nofile=99:99 --stop-signal INT --stop-timeout 1 --init "$image" sh -c 'ulimit -n'
try 'run --entrypoint' '^overridden' docker run --rm --entrypoint echo "$image" overridden
try 'run --cap-drop --security-opt no-new-privileges' '^0000000000000000' docker run --rm --cap-drop ALL --security-opt no-new-privileges "$image" sh -c 'grep CapEff /proc/self/status | cut -f2'
try 'run --restart --log-driver --log-opt' '^json-file 3' pipe "docker run -d --name $n-r --label $n --restart on-failure:3 --log-driver json-file --log-opt max-size=1m $image true >/dev/null && docker inspect -f '{{.HostConfig.LogConfig.Type}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' $n-r"
try 'run --health-cmd' '^healthy' pipe "docker run -d --name $n-h --label $n --health-cmd true --health-interval 1s $image sleep 600 >/dev/null; for i in \$(seq 40); do s=\$(docker inspect -f '{{.State.Health.Status}}' $n-h); [ \$s = healthy ] && break; sleep 0.25; done; echo \$s"
try 'run --network none' '^lo$' docker run --rm --network none "$image" ls /sys/class/net
try 'run --cidfile' '^[0-9a-f]{64}$' pipe "docker run --rm --cidfile cid $image true && cat cid"
try 'run --pull never' '^near' docker run --rm --pull never "$image" echo near
fails 125 'run: a missing image' 'nable to find image|No such image|not found' docker run --rm --pull never "$n/none:none" true

# --- a container's life
try 'create' '^[0-9a-f]{64}$' docker create -i --name "$n-c" --label "$n" "$image" sh -c 'read line; echo "got $line"; exit 3'
fails 3 'start -ai' '^got text' pipe "echo text | docker start -ai $n-c"
try 'wait' '^3' docker wait "$n-c"
try 'start' "^$n-c" docker start "$n-c"
try 'attach' '^got later' pipe "echo later | docker attach --sig-proxy=false $n-c || true"
try 'exec' '^inside' docker exec "$n-a" echo inside
try 'exec -i' '^1048576' pipe "head -c 1048576 /dev/zero | docker exec -i $n-a wc -c"
try 'exec -it' 'a terminal' terminal "docker exec -it $n-a sh -c 'test -t 0 && echo a terminal'"
try 'exec -d' '^done' pipe "docker exec -d $n-a touch /tmp/detached && for i in \$(seq 40); do docker exec $n-a test -e /tmp/detached && break; sleep 0.1; done; docker exec $n-a sh -c 'test -e /tmp/detached && echo done'"
try 'exec -e -w -u' '^1 /tmp 65534' docker exec -e E=1 -w /tmp -u 65534 "$n-a" sh -c 'echo $E $(pwd) $(id -u)'
fails 5 'exec: the exit code is the command'\''s' '^$' docker exec "$n-a" sh -c 'exit 5'
try 'exec --detach-keys' '^keys' docker exec -i --detach-keys ctrl-x,x "$n-a" echo keys
try 'logs' 'one' docker logs "$n-a"
try 'logs --tail -t' 'T.*Z' docker logs --tail 1 -t "$n-a"
try 'logs --since --until' 'one' docker logs --since 10m --until 0s "$n-a"
try 'logs -f' '^one.*two|^two.*one' pipe "timeout 3 docker logs -f $n-a; test \$? = 124"
try 'top' 'PID' docker top "$n-a"
try 'top with options of ps' 'COMMAND|CMD' docker top "$n-a" -o pid,cmd
try 'stats --no-stream' "$n-a" docker stats --no-stream "$n-a"
try 'stats --no-stream --format' '^[0-9]+' docker stats --no-stream --format '{{.PIDs}}' "$n-a"
try 'port' '^(127.0.0.1|0.0.0.0):[0-9]+' docker port "$n-p" 80
try 'inspect -f' '^running' docker inspect -f '{{.State.Status}}' "$n-a"
try 'inspect -s' 'SizeRootFs' docker inspect -s "$n-a"
try 'inspect --type' 'RepoTags' docker inspect --type image "$image"
fails 1 'inspect: no such object' 'No such' docker inspect "$n-nothing"
try 'rename' '^$' docker rename "$n-c" "$n-d"
try 'update' "$n-a" docker update --memory 128m --memory-swap 128m --cpus 1 "$n-a"
try 'update --restart' "$n-d" docker update --restart no "$n-d"
try 'pause' "$n-a" docker pause "$n-a"
try 'unpause' "$n-a" docker unpause "$n-a"
try 'restart -t' "$n-a" docker restart -t 1 "$n-a"
try 'kill -s' '^0$' pipe "docker kill -s TERM $n-a >/dev/null && docker wait $n-a"
try 'start again' "$n-a" docker start "$n-a"
try 'cp to the container' '^content' pipe "echo content >file; docker cp file $n-a:/tmp/file && docker exec $n-a cat /tmp/file"
try 'cp from the container' '^content' pipe "docker cp $n-a:/tmp/file back && cat back"
try 'cp - to the container' '^content' pipe "tar -c file | docker cp - $n-a:/root/ && docker exec $n-a cat /root/file"
try 'cp to standard output' '^file' pipe "docker cp $n-a:/tmp/file - | tar -t"
try 'cp -a -L' '^content' pipe "ln -sf file link; docker cp -a -L link $n-a:/tmp/linked && docker exec $n-a cat /tmp/linked"
try 'diff' 'A /tmp/file' docker diff "$n-a"
try 'stop -t' "$n-a" docker stop -t 1 "$n-a"

# --- ps
try 'ps' 'CONTAINER ID' docker ps
try 'ps -a --filter label' "^$n-a" docker ps -a --filter "label=kind=first" --filter "label=$n" --format '{{.Names}}'
try 'ps --filter name, status, exited' "$n-a" docker ps -a --filter "name=$n-a" --filter status=exited --filter exited=0
try 'ps --filter ancestor, before, since' 'CONTAINER' docker ps -a --filter "ancestor=$image" --filter "since=$n-a"
try 'ps --filter network, volume, publish, health' 'CONTAINER' docker ps -a --filter network=bridge --filter volume="$n-v1" --filter publish=80 --filter health=none
try 'ps -s -n --no-trunc' 'SIZE' docker ps -s -n 2 --no-trunc
try 'ps -lq' "^$hex" docker ps -lq

# --- images
try 'images' 'REPOSITORY' docker images
try 'images -a --no-trunc' 'sha256:' docker images -a --no-trunc
try 'images --digests --filter reference' 'DIGEST' docker images --digests --filter "reference=${image%:*}"
try 'images --filter dangling, label, before' 'REPOSITORY' docker images --filter dangling=false --filter "label=$n" --filter "before=$image"
try 'tag' '^$' docker tag "$image" "$n/tagged:1"
try 'history' 'IMAGE' docker history --no-trunc "$n/tagged:1"
try 'image inspect' '^linux' docker image inspect -f '{{.Os}}' "$n/tagged:1"
try 'commit' '^sha256:' docker commit "$n-a" "$n/committed:1"
try 'commit -a -m -c' '^a sentence; somebody; \[cat\]; yes' pipe "docker commit -a somebody -m 'a sentence' -c 'CMD [\"cat\"]' -c 'LABEL $n=yes' $n-a $n/committed:2 >/dev/null && docker image inspect -f '{{.Comment}}; {{.Author}}; {{.Config.Cmd}}; {{index .Config.Labels \"$n\"}}' $n/committed:2"
try 'export' '^tmp/file' pipe "docker export $n-a | tar -t tmp/file"
try 'export | import' '^sha256:' pipe "docker export $n-a | docker import - $n/imported:1"
try 'import -c -m' '^\[echo it\]; said' pipe "docker export $n-a | docker import -c 'CMD [\"echo\", \"it\"]' -m said - $n/imported:2 >/dev/null && docker image inspect -f '{{.Config.Cmd}}; {{.Comment}}' $n/imported:2"
try 'import FILE' '^sha256:' pipe "docker export -o exported.tar $n-a && docker import exported.tar $n/imported:3"
try 'save | load' "Loaded image: $n/tagged:1" pipe "docker save $n/tagged:1 | docker load"
try 'save -o, load -i' "Loaded image: $n/imported:1" pipe "docker save -o saved.tar $n/imported:1 && docker rmi $n/imported:1 >/dev/null && docker load -i saved.tar"
try 'rmi' 'Untagged' docker rmi "$n/tagged:1"
try 'image prune --filter' 'Total reclaimed space' docker image prune -f --filter "label=$n-none"

# --- build, the classic builder
mkdir -p context && cd context || exit 1
cat >Dockerfile <<DOCKERFILE
FROM $image AS first
ARG WHAT=default
LABEL $n=built
COPY file /file
RUN echo "\$WHAT" >/what
FROM first AS second
RUN --network=default true
CMD ["cat", "/what"]
DOCKERFILE
sed -i 's/RUN --network=default true/RUN true/' Dockerfile
cp Dockerfile Other.dockerfile
echo "in the context" >file; echo secret >ignored; echo ignored >.dockerignore
try 'build' 'Successfully tagged' docker build -t "$n/built:1" .
try 'build --build-arg --target --label' 'given; set' pipe "docker build -q --build-arg WHAT=given --target first --label $n-l=set -t $n/built:2 . >/dev/null && docker run --rm $n/built:2 cat /what | tr '\n' ';' && docker image inspect -f ' {{index .Config.Labels \"$n-l\"}}' $n/built:2"
try 'build -f' 'sha256:[0-9a-f]{64}' docker build -q -f Other.dockerfile -t "$n/built:3" .
try 'build - with a Dockerfile' 'Successfully built' pipe "printf 'FROM $image\nLABEL $n=1\nRUN true\n' | docker build -t $n/built:4 -"
try 'build - with a tar' 'Successfully tagged' pipe "tar -c . | docker build -t $n/built:5 -"
try 'build - with a gzip tar' 'Successfully tagged' pipe "tar -cz . | docker build -t $n/built:6 -"
try 'build --compress' 'Successfully tagged' docker build --compress -t "$n/built:7" .
try 'build --no-cache --force-rm --add-host' 'Successfully tagged' docker build --no-cache --force-rm --add-host added:10.1.2.3 --add-host other:10.1.2.4 -t "$n/built:8" .
try 'build --memory --cpu-shares --shm-size --ulimit' 'Successfully tagged' docker build --memory 256m --cpu-shares 512 --shm-size 32m --ulimit nofile=512:512 -t "$n/built:9" .
try 'build --cache-from --network' 'Successfully tagged' docker build --cache-from "$n/built:8" --cache-from "$n/built:9" --network none -t "$n/built:10" .
try 'build: two tags' '2$' pipe "docker build -q -t $n/built:11 -t $n/built:12 . >/dev/null && docker images --format '{{.Tag}}' $n/built | grep -c '^1[12]$'"
cd ..

# --- networks
try 'network create' '^[0-9a-f]{64}' docker network create "$n-net"
try 'network create --internal --label --driver' '^[0-9a-f]{64}' docker network create --driver bridge --internal --label "$n=1" "$n-net2"
try 'network ls --filter --format' "$n-net2" docker network ls --filter "label=$n=1" --filter driver=bridge --format '{{.Name}}'
try 'network inspect' '^bridge' docker network inspect -f '{{.Driver}}' "$n-net"
try 'network connect --alias' '^$' docker network connect --alias other "$n-net" "$n-p"
try 'run --network --network-alias' 'alive|bytes from' pipe "docker run --rm --network $n-net --network-alias one $image sh -c 'nslookup other >/dev/null && echo alive'"
try 'network disconnect -f' '^$' docker network disconnect -f "$n-net" "$n-p"
try 'network rm' "$n-net" docker network rm "$n-net"
try 'network prune --filter' '^$|Deleted Networks' docker network prune -f --filter "label=$n=1"

# --- volumes
try 'volume create' "^$n-v2" docker volume create --label "$n=1" "$n-v2"
try 'volume ls --filter' "$n-v2" docker volume ls -q --filter "name=$n-v2" --filter dangling=true
try 'volume inspect' '^local' docker volume inspect -f '{{.Driver}}' "$n-v2"
try 'volume rm' "$n-v1" docker volume rm "$n-v1"
try 'volume prune --filter' 'Total reclaimed space' docker volume prune -f --filter "label=$n=1"

# --- a registry
try 'push' 'digest: sha256' pipe "docker tag $image $registry/$n/pushed:1 && docker push $registry/$n/pushed:1"
try 'push -a' 'digest: sha256' pipe "docker tag $image $registry/$n/pushed:2 && docker push -a $registry/$n/pushed"
try 'pull' 'Downloaded newer|up to date' pipe "docker rmi $registry/$n/pushed:1 >/dev/null; docker pull $registry/$n/pushed:1"
try 'pull by digest' 'Digest|up to date' pipe "docker pull \$(docker image inspect -f '{{index .RepoDigests 0}}' $registry/$n/pushed:1)"
try 'pull -a' 'Downloaded newer|up to date' docker pull -a "$registry/$n/pushed"
fails 1 'pull: not there' 'not found|manifest unknown' docker pull "$registry/$n/none:none"
try 'manifest inspect' 'schemaVersion' docker manifest inspect --insecure "$registry/$n/pushed:1"
try 'login' 'Login Succeeded' pipe "cp -r \$DOCKER_CONFIG config && echo secret | docker --config config login -u somebody --password-stdin $registry"
fails 1 'login: no registry there' 'Get "https?://127.0.0.1:1/v2/"' pipe "echo secret | docker --config config login -u somebody --password-stdin 127.0.0.1:1"
fails 1 'search: the registry has none' '404|not found|invalid character' docker search "$registry/something"

# --- events, and the end
# The daemon remembers the last 256 events only: these are of just now.
try 'events --since --until --filter' 'container start' pipe "s=\$(date +%s); docker start $n-a >/dev/null; docker events --since \$s --until \$(( \$(date +%s) + 1 )) --filter container=$n-a --filter type=container"
try 'events --format json' '"Action":"kill"' pipe "s=\$(date +%s); docker kill $n-a >/dev/null; docker events --since \$s --until \$(( \$(date +%s) + 1 )) --filter container=$n-a --filter event=kill --filter event=die --format '{{json .}}'"
try 'rm -f -v' "$n-d" docker rm -f -v "$n-d" "$n-h"
try 'container prune --filter' 'Total reclaimed space' docker container prune -f --filter "label=$n"

# --- refused by the role (refused.toml)
try 'run -v of a directory of the host' '^host$' pipe "echo host >shown; docker run --rm -v \$PWD:/host:ro $image cat /host/shown"
try 'run --network host' '^host$' docker run --rm --network host "$image" echo host
try 'run --pid host' '^host$' docker run --rm --pid host "$image" echo host
try 'run --device' '^null$' docker run --rm --device /dev/null:/dev/other "$image" sh -c 'test -c /dev/other && echo null'
