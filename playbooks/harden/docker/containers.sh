#!/bin/sh
# Running containers, judged in one call. $1 says what is asked; then names of
# containers that are not judged. Options tell what was asked for; the kernel tells
# what the first process of a container has, which counts where it can be read.
LC_ALL=C
export LC_ALL
what=$1
shift
case $what in
  privileged | namespaces | mounts | confined | limits | fixed) ;;
  *) echo "unknown question '$what'"; exit 3 ;;
esac
daemon=$(cat /run/docker.pid 2>/dev/null)
if [ ! -e "/proc/${daemon:-none}" ]; then
  daemon=$(systemctl show -p MainPID --value docker.service 2>/dev/null)
  [ "$(systemctl is-active docker.service 2>/dev/null)" = active ] || { echo 'Docker does not run here'; exit 77; }
fi
# A context of the account may name the daemon of another host.
unset DOCKER_CONTEXT
[ ! -S /run/docker.sock ] || export DOCKER_HOST=unix:///run/docker.sock
ids=$(timeout 20 docker ps -q 2>&1) || { printf '%s\n' "$ids"; exit 3; }
[ -n "$ids" ] || { echo 'no container runs'; exit 77; }
# A line for each container, with what may hold a bar last, and for each of its devices,
# rules of devices and mounts.
format='C|{{.Name}}|{{.State.Pid}}|{{.HostConfig.Privileged}}|{{join .HostConfig.CapAdd ","}}|{{.HostConfig.NetworkMode}}|{{.HostConfig.PidMode}}|{{.HostConfig.IpcMode}}|{{.HostConfig.UTSMode}}|{{.HostConfig.UsernsMode}}|{{.HostConfig.CgroupnsMode}}|{{.HostConfig.Memory}}|{{.HostConfig.PidsLimit}}|{{.HostConfig.ReadonlyRootfs}}|{{.AppArmorProfile}}|{{json .HostConfig.MaskedPaths}}|{{json .HostConfig.ReadonlyPaths}}|{{.Config.User}}|{{join .HostConfig.SecurityOpt ","}}
{{range .HostConfig.Devices}}D|{{.PathOnHost}}
{{end}}{{range .HostConfig.DeviceCgroupRules}}R|{{.}}
{{end}}{{range .Mounts}}M|{{.RW}}|{{json .Source}}
{{end}}'
# shellcheck disable=SC2086
list=$(timeout 30 docker inspect --type container --format "$format" $ids 2>&1)
code=$?
# One that ended between the two calls is no container any more.
list=$(printf '%s\n' "$list" | grep -v '^$\|^Error: No such container\|^[Ee]rror: no such object\|^Error response from daemon: No such container')
[ "$code" = 0 ] || printf '%s\n' "$list" | grep -q '^C|/' || { printf '%s\n' "$list"; exit 3; }

# What the kernel says of their first processes, as "L PATH:LINE" and "N PATH LINK".
live() {
  # shellcheck disable=SC2046,SC2086
  set -- $(printf '%s\n' "$list" | awk -F '|' '$1 == "C" && $3 ~ /^[1-9][0-9]*$/ { print $3 }')
  [ $# -gt 0 ] || return 0
  # shellcheck disable=SC2046
  case $what in
    namespaces) find /proc/1/ns $(printf '/proc/%s/ns ' "$@") -maxdepth 1 -type l -printf 'N %p %l\n' 2>/dev/null ;;
    confined | fixed)
      grep -sH -e '^Seccomp:' -e '^NoNewPrivs:' -e '^Uid:' $(printf '/proc/%s/status ' "$@") | sed 's/^/L /'
      grep -sH . $(printf '/proc/%s/attr/current ' "$@") | sed 's/^/L /'
      ;;
  esac
  return 0
}

# The mounts that the daemon sees, as "I LINE"; sources of mounts, as "Q SOURCE", then
# the paths behind their links in the same order, as "P PATH"; the sockets that make
# root of whoever has them, as "K SOCKET"; paths that are one by another name, as
# "S PATH<tab>SOCKET".
paths() {
  sources=$(printf '%s\n' "$list" | sed -n 's/^M|[a-z]*|"\(.*\)"$/\1/p' | grep . | sort -u)
  [ "$what" = mounts ] && [ -n "$sources" ] || return 0
  case $sources in *\\*) echo 'a path of a mount has characters that cannot be judged'; return 3 ;; esac
  sed 's/^/I /' "/proc/$daemon/mountinfo" || return 3
  printf '%s\n' "$sources" | sed 's/^/Q /'
  resolved=$(printf '%s\n' "$sources" | xargs -d '\n' realpath -m -- 2>&1) || { printf '%s\n' "$resolved"; return 3; }
  printf '%s\n' "$resolved" | sed 's/^/P /'
  sockets=$(
    set -- /run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock /run/crio/crio.sock /run/buildkit/buildkitd.sock \
      /run/systemd/private /run/dbus/system_bus_socket
    # shellcheck disable=SC2046,SC2020
    set -- "$@" $(tr '\0=' '\n\n' <"/proc/$daemon/cmdline" | sed -n 's|^\(-H\)\{0,1\}unix://||p') \
      $(tr ',' '\n' </etc/docker/daemon.json 2>/dev/null | sed -n 's|.*"unix://\([^"]*\)".*|\1|p')
    for socket; do [ ! -S "$socket" ] || realpath -m -- "$socket"; done | sort -u
  )
  printf '%s\n' "$sockets" | sed 's/^/K /'
  printf '%s\n' "$resolved" | while IFS= read -r path; do
    [ -S "$path" ] || continue
    # shellcheck disable=SC3013
    for socket in $sockets; do [ ! "$path" -ef "$socket" ] || printf 'S %s\t%s\n' "$path" "$socket"; done
  done
}

facts=$(live && paths) || { printf '%s\n' "$facts"; exit 3; }
lsm=$(cat /sys/kernel/security/lsm 2>/dev/null)
[ ! -e /sys/fs/cgroup/cgroup.controllers ] || lsm="$lsm,unified"
printf '%s\n%s\n' "$facts" "$list" | awk -v what="$what" -v trusted="$*" -v lsm=",$lsm," '
  BEGIN {
    count = split(trusted, words, " ")
    for (i = 1; i <= count; i++) known[words[i]] = 1
    # What Docker gives every container: added after --cap-drop, it is no more than that.
    count = split("AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT", words, " ")
    for (i = 1; i <= count; i++) default_capability[words[i]] = 1
  }
  function add(why) { if (index(", " reasons ",", ", " why ",") == 0) reasons = reasons (reasons == "" ? "" : ", ") why }
  function below(path, folder) { return folder == "/" || path == folder || index(path, folder "/") == 1 }
  function join_paths(folder, rest) { return folder == "/" ? (rest == "" ? "/" : rest) : folder rest }
  # A path of mountinfo(5): blanks and backslashes are octal there.
  function plain(text,  at, out) {
    while (at = index(text, "\\")) {
      out = out substr(text, 1, at - 1) sprintf("%c", substr(text, at + 1, 1) * 64 + substr(text, at + 2, 1) * 8 + substr(text, at + 3, 1))
      text = substr(text, at + 4)
    }
    return out text
  }
  # Why a container must not have a folder or a file of the host, or nothing.
  function wrong(path, writable,  i) {
    if (path in same_socket) return "socket " path
    if (path ~ /\/(docker|containerd|podman|crio|buildkitd)\.sock$/) return "socket " path
    if (path == "/" || path == "/proc" || path == "/root" || path == "/etc") return "folder " path
    if (path ~ /^\/(run|var\/run)(\/(docker|containerd))?$/) return "folder " path
    for (i = 1; i <= sockets; i++) if (below(socket[i], path)) return (socket[i] == path ? "socket " : "folder ") path
    if (path ~ /^\/(etc\/(shadow|gshadow)-?|etc\/ssh(\/ssh_host_[^\/]*_key)?|root\/\.ssh(\/.*)?)$/) return "secrets in " path
    if (!writable) return ""
    # With the data of the daemon, packages or cron, a container writes what root runs.
    if (path ~ /^\/var(\/(lib|spool|lib\/(docker|containerd|kubelet|dpkg|systemd|apt)|lib\/docker\/(volumes|containers|overlay2|image)|spool\/(cron|anacron|at)(\/.*)?))?$/) return "to write to: " path
    if (path ~ /^\/(boot|dev|etc|lib|lib32|lib64|libx32|proc|root|sbin|bin|sys|usr)(\/|$)/ && path !~ /^\/dev\/shm/) return "to write to: " path
    if (path ~ /^\/run\/(systemd|udev)(\/|$)/) return "to write to: " path
    if (path ~ /^\/home(\/[^\/]+)?$/ || path ~ /\/\.ssh(\/|$)/) return "to write to: " path
    return ""
  }
  # Judges a path and what it is another name of: a bind mount, or the device of a volume.
  function judge(source, writable,  path, i, at, inner, other, why, parts, total) {
    path = (source in behind) ? behind[source] : source
    if ((why = wrong(source, writable)) != "" || (why = wrong(path, writable)) != "") { add(why); return }
    for (i = 1; i <= mounts; i++) if (below(path, point[i]) && (!at || length(point[i]) >= length(point[at]))) at = i
    if (!at) { print "the mount of " path " is not known"; stop = 3; exit }
    inner = join_paths(root[at], point[at] == "/" ? (path == "/" ? "" : path) : substr(path, length(point[at]) + 1))
    for (i = 1; i <= mounts; i++) {
      if (device[i] != device[at] || i == at) continue
      if (below(inner, root[i])) other = join_paths(point[i], root[i] == "/" ? (inner == "/" ? "" : inner) : substr(inner, length(root[i]) + 1))
      else if (below(root[i], inner)) other = point[i]
      else continue
      if ((why = wrong(other, writable)) != "") add(why " (as " source ")")
    }
    if (type[at] ~ /^(proc|sysfs|devtmpfs|debugfs|tracefs|securityfs|cgroup2?|bpf|configfs)$/) add("file system " type[at] " (as " source ")")
    if (type[at] != "overlay" || point[at] == "/") return
    total = split(options[at], parts, /[,:]/)
    for (i = 1; i <= total; i++) {
      other = parts[i]; sub(/^(lower|upper|work)dir\+?=/, "", other)
      if (other ~ /^\// && (why = wrong(plain(other), writable)) != "") add(why " (as " source ")")
    }
  }
  function finish_container() {
    if (name == "" || reasons == "") { name = ""; return }
    found++
    if (found <= 40) text = text name ": " reasons "\n"
    if (found <= 5) short = short (found > 1 ? ", " : "") name
    name = ""
  }
  # A namespace of a container that is that of the host, whatever option has made it so.
  function of_host(pid, kind) { return (pid, kind) in space && space[pid, kind] == space[1, kind] }
  function privileged(  i, total, list, one, all) {
    if (f[4] == "true") add("privileged")
    total = split(toupper(f[5]), list, ",")
    for (i = 1; i <= total; i++) {
      one = list[i]; sub(/^CAP_/, "", one)
      if (one != "" && !(one in default_capability)) all = all (all == "" ? "" : ",") one
    }
    if (all != "") add("capabilities " all)
  }
  function namespaces() {
    if (f[6] == "host" || of_host(f[3], "net")) add("network of the host")
    if (f[7] == "host" || of_host(f[3], "pid")) add("processes of the host")
    if (f[8] == "host" || of_host(f[3], "ipc")) add("IPC of the host")
    if (f[9] == "host" || of_host(f[3], "uts")) add("name of the host")
    if (f[10] == "host") add("users of the host")
    # With version 1 of cgroups this is the default of Docker.
    if (lsm ~ /,unified,/ && (f[11] == "host" || of_host(f[3], "cgroup"))) add("cgroups of the host")
  }
  function confined(  profile) {
    if (security ~ /(^|,)seccomp[=:]unconfined/ || f[4] == "true" || ((f[3], "Seccomp") in status && status[f[3], "Seccomp"] == 0)) add("no seccomp")
    else if (security ~ /"defaultAction":"SCMP_ACT_(ALLOW|LOG|TRACE)"/) add("seccomp allows what it does not name")
    profile = (f[3] in confinement) ? confinement[f[3]] : ""
    if (lsm ~ /,apparmor,/ && (security ~ /(^|,)apparmor[=:]unconfined/ || f[15] == "unconfined" || f[15] == "" || f[4] == "true" || profile ~ /(^unconfined$|\((complain|unconfined)\)$)/)) add("no AppArmor")
    if (lsm ~ /,selinux,/ && security ~ /(^|,)label[=:]disable/) add("no SELinux")
    if (f[16] !~ /"\/proc\/kcore"/ || f[16] !~ /"\/sys\/firmware"/ || f[17] !~ /"\/proc\/sys"/ || f[17] !~ /"\/proc\/sysrq-trigger"/) add("paths of /proc and /sys are open")
  }
  function fixed(  rights) {
    if (f[14] != "true") add("root is writable")
    rights = security ~ /(^|,)no-new-privileges(,|$|[=:](1|t|T|true|TRUE|True)(,|$))/
    if ((f[3], "NoNewPrivs") in status) rights = status[f[3], "NoNewPrivs"] == 1
    if (!rights) add("may gain rights")
    if (f[18] == "" || f[18] ~ /^(0+|root)(:|$)/ || ((f[3], "Uid") in status && status[f[3], "Uid"] == 0)) add("runs as root")
  }
  /^I / {
    at = ++mounts; point[at] = plain($6); root[at] = plain($5); device[at] = $4; options[at] = $NF
    for (i = 8; i < NF && $i != "-"; i++);
    type[at] = $(i + 1)
    next
  }
  /^N / { split($2, words, "/"); space[words[3], words[5]] = $3; next }
  /^L / {
    split($2, words, "/"); pid = words[3]
    line = $0; sub(/^[^:]*:/, "", line)
    if ($2 ~ /^\/proc\/[0-9]+\/status:/) { split(line, words, /[: \t]+/); status[pid, words[1]] = words[2] }
    else confinement[pid] = line
    next
  }
  /^Q / { asked[++sources] = substr($0, 3); next }
  /^P / { behind[asked[++answers]] = substr($0, 3); next }
  /^K / { if ($0 != "K ") socket[++sockets] = substr($0, 3); next }
  /^S / { split(substr($0, 3), words, "\t"); same_socket[words[1]] = words[2]; next }
  $0 == "" { next }
  answers + 0 != sources + 0 { print "the paths behind the links of mounts are not known"; stop = 3; exit }
  /^C\|/ {
    finish_container()
    total = split($0, f, "|"); security = f[19]
    for (i = 20; i <= total; i++) security = security "|" f[i]
    # A bar in a name would put each field after it in the place of another.
    if (total < 19 || f[2] !~ /^\/[^\/]+$/ || f[3] !~ /^[0-9]+$/ || f[17] !~ /^(\[.*\]|null)$/) { print "docker inspect tells other than was asked: " $0; stop = 3; exit }
    reasons = ""
    if (substr(f[2], 2) in known) next
    name = substr(f[2], 2); judged++
    if (what == "privileged") privileged()
    else if (what == "namespaces") namespaces()
    else if (what == "confined") confined()
    else if (what == "fixed") fixed()
    else if (what == "limits") {
      if (f[12] + 0 <= 0) add("memory")
      if (f[13] + 0 <= 0) add("processes")
    }
    next
  }
  /^[DRM]\|/ {
    if (name == "" || what != "mounts") next
    line = substr($0, 3)
    if (/^D/) add("device " line)
    else if (/^R/) add("devices by the rule " line)
    else if (line !~ /^(true|false)\|".*"$/) { print "docker inspect tells other than was asked: " $0; stop = 3; exit }
    else { path = line; sub(/^[a-z]*\|"/, "", path); sub(/"$/, "", path); if (path != "") judge(path, line ~ /^true/) }
    next
  }
  { print "docker inspect says: " $0; stop = 3; exit }
  END {
    if (stop) exit stop
    finish_container()
    if (!judged) { print "no container runs that is judged"; exit 77 }
    if (!found) { print judged " container" (judged > 1 ? "s" : "") " judged"; exit 0 }
    print found " of " judged " container" (judged > 1 ? "s" : "") ": " short (found > 5 ? ", ..." : "")
    printf "%s", text
    if (found > 40) print "and " found - 40 " more"
    exit 1
  }'
