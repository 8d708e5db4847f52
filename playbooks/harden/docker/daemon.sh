#!/bin/sh
# What the running daemon of Docker is set to. $1 says what is asked.
LC_ALL=C
export LC_ALL

unreadable() {
  printf '%s\n' "$1"
  exit 3
}

none() {
  printf '%s\n' "$1"
  exit 77
}

holds() {
  printf '%s\n' "$1"
  exit 0
}

fails() {
  printf '%s\n' "$@"
  exit 1
}

shown=$(systemctl show -p ActiveState -p MainPID docker.service 2>&1) || unreadable "$shown"
case $shown in *ActiveState=active*) ;; *) none 'Docker does not run here' ;; esac
pid=$(printf '%s\n' "$shown" | sed -n 's/^MainPID=//p')
line=" $(tr '\0' ' ' <"/proc/$pid/cmdline") " || unreadable 'the command line of dockerd cannot be read'
json=
file=$(printf '%s\n' "$line" | sed -n 's/.* --\{0,1\}config-file[= ]\([^ ]*\) .*/\1/p')
file=${file:-/etc/docker/daemon.json}
if [ -e "$file" ]; then
  json=$(tr -d ' \t\n' <"$file") || unreadable "$file cannot be read"
fi
# A context of the account may name the daemon of another host.
unset DOCKER_CONTEXT
[ ! -S /run/docker.sock ] || export DOCKER_HOST=unix:///run/docker.sock

# A field of `docker info`.
info() {
  timeout 20 docker info --format "$1" 2>/dev/null || unreadable 'docker info does not answer'
}

# Whether a setting that is on or off is $2, on the command line, where it has many
# spellings (strconv.ParseBool of Go), or in the file.
set_to() {
  case $2 in true) words='true True TRUE t T 1' ;; *) words='false False FALSE f F 0' ;; esac
  for spelling in $words; do
    case $line in *" --$1=$spelling "* | *" -$1=$spelling "*) return 0 ;; esac
  done
  case $line in *" --$1 "* | *" -$1 "*) [ "$2" = true ] && return 0 ;; esac
  case $json in *"\"$1\":$2"[,\}]*) return 0 ;; esac
  return 1
}

case $1 in
  api)
    open=
    # An address without a scheme is one of TCP: -H 0.0.0.0:2375, -H :2375.
    option=
    for word in $line; do
      case $option$word in
        -H=* | --host=* | -host=*) host=${word#*=} ;;
        -H | --host | -host) option=host: && continue ;;
        -H?*) host=${word#-H} ;;
        host:*) host=$word ;;
        *) continue ;;
      esac
      option=
      case $host in unix://* | fd://*) ;; *) open="$open $host" ;; esac
    done
    hosts=$(printf '%s\n' "$json" | sed -n 's/.*"hosts":\[\([^]]*\)\].*/\1/p' | tr ',"' '  ')
    for word in $hosts; do
      case $word in unix://* | fd://*) ;; *) open="$open $word" ;; esac
    done
    socket=$(systemctl show -p Listen docker.socket 2>/dev/null | sed -n 's/^Listen=\([^ ]*\) (Stream)$/\1/p')
    for word in $socket; do
      case $word in /* | @*) ;; *) open="$open $word" ;; esac
    done
    [ -n "$open" ] || holds 'dockerd listens on Unix sockets alone'
    ! set_to tlsverify true || holds "dockerd demands certificates on$open"
    fails "the API is open to everyone who reaches it:$open"
    ;;
  icc)
    out=$(timeout 20 docker network inspect --format '{{index .Options "com.docker.network.bridge.enable_icc"}}' bridge 2>&1) ||
      case $out in *'not found'* | *'No such network'*) none 'there is no default bridge' ;; *) unreadable "$out" ;; esac
    [ "$out" = false ] && holds 'enable_icc is false'
    fails "enable_icc of the network bridge is ${out:-not set}"
    ;;
  registries)
    out=$(info '{{range .RegistryConfig.InsecureRegistryCIDRs}}{{.}} {{end}}{{range .RegistryConfig.IndexConfigs}}{{if not .Secure}}{{.Name}} {{end}}{{end}}') || unreadable "$out"
    bad=
    for registry in $out; do
      case $registry in 127.0.0.0/8 | ::1/128 | '<nil>') ;; *) bad="$bad $registry" ;; esac
    done
    [ -z "$bad" ] || bad="trusted without TLS:$bad"
    rules=
    for rule in iptables ip6tables; do
      ! set_to $rule false || rules="$rules $rule"
    done
    [ -n "$bad$rules" ] || holds 'no insecure registries, and Docker keeps its rules'
    [ -z "$rules" ] || rules="Docker sets no rules of$rules"
    [ -n "$bad" ] && [ -n "$rules" ] && fails "$bad" "$rules"
    fails "$bad$rules"
    ;;
  userns)
    out=$(info '{{range .SecurityOptions}}{{.}} {{end}}') || unreadable "$out"
    case $out in *name=userns* | *name=rootless*) holds 'users are mapped' ;; esac
    fails 'root in containers is root on the host'
    ;;
  new-privileges)
    out=$(info '{{range .SecurityOptions}}{{.}} {{end}}') || unreadable "$out"
    case $out in *name=no-new-privileges*) holds 'no-new-privileges is on' ;; esac
    fails 'no-new-privileges is off'
    ;;
  live-restore)
    out=$(info '{{.LiveRestoreEnabled}} {{.Swarm.LocalNodeState}}') || unreadable "$out"
    case $out in
      'true '*) holds 'live-restore is on' ;;
      *' inactive') fails 'live-restore is off' ;;
      *) none 'a member of a swarm cannot have it' ;;
    esac
    ;;
  userland-proxy)
    running=0
    for comm in /proc/[0-9]*/comm; do
      read -r name <"$comm" 2>/dev/null || continue
      [ "$name" != docker-proxy ] || running=$((running + 1))
    done
    [ "$running" = 0 ] || fails "$running docker-proxy run"
    set_to userland-proxy false && holds 'userland-proxy is false'
    fails 'userland-proxy is not set to false'
    ;;
  log)
    driver=$(info '{{.LoggingDriver}}') || unreadable "$driver"
    case $driver in
      none) fails 'the log driver is none: what containers say is lost' ;;
      json-file) ;;
      *) holds "the log driver is $driver" ;;
    esac
    case $line$json in
      *'"max-size":"'[1-9]* | *'max-size='[1-9]*) holds 'json-file has a max-size' ;;
    esac
    fails 'json-file has no max-size: logs grow without an end'
    ;;
  data)
    root=$(info '{{.DockerRootDir}}') || unreadable "$root"
    mount=$(findmnt -n -o TARGET -T "$root" 2>&1) || unreadable "$mount"
    [ "$mount" = / ] && fails "$root is on the root file system"
    holds "$root is on $mount"
    ;;
  profiles)
    out=$(info '{{range .SecurityOptions}}{{.}} {{end}}') || unreadable "$out"
    bad=
    case $out in
      *seccomp*unconfined*) bad='seccomp is unconfined by default' ;;
      *name=seccomp*) ;;
      *) bad='the daemon has no seccomp' ;;
    esac
    if grep -qs apparmor /sys/kernel/security/lsm; then
      case $out in *name=apparmor*) ;; *) bad="$bad${bad:+, }the daemon has no AppArmor" ;; esac
    fi
    [ -n "$bad" ] && fails "$bad"
    holds "$out"
    ;;
  experimental)
    out=$(info '{{.ExperimentalBuild}}') || unreadable "$out"
    [ "$out" = false ] && holds 'experimental is false'
    fails 'experimental is true'
    ;;
  *) unreadable "unknown question '$1'" ;;
esac
