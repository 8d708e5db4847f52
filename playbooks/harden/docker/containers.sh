#!/bin/sh
# Running containers, judged in one call. $1 says what is asked; then names of
# containers that are not judged.
LC_ALL=C
export LC_ALL
what=$1
shift
{ pid=$(cat /run/docker.pid 2>/dev/null) && [ -e "/proc/$pid" ]; } ||
  [ "$(systemctl is-active docker.service 2>/dev/null)" = active ] || { echo 'Docker does not run here'; exit 77; }
ids=$(timeout 20 docker ps -q 2>&1) || { printf '%s\n' "$ids"; exit 3; }
[ -n "$ids" ] || { echo 'no container runs'; exit 77; }
format='{{.Name}}|{{.HostConfig.Privileged}}|{{join .HostConfig.CapAdd ","}}|{{.HostConfig.NetworkMode}}|{{.HostConfig.PidMode}}|{{.HostConfig.IpcMode}}|{{.HostConfig.UTSMode}}|{{.HostConfig.UsernsMode}}|{{join .HostConfig.SecurityOpt ","}}|{{.AppArmorProfile}}|{{.HostConfig.Memory}}|{{.HostConfig.PidsLimit}}|{{.HostConfig.ReadonlyRootfs}}|{{.Config.User}}|{{range .HostConfig.Devices}}{{.PathOnHost}},{{end}}|{{range .Mounts}}{{.RW}}:{{.Source}},{{end}}'
# shellcheck disable=SC2086
list=$(timeout 30 docker inspect --type container --format "$format" $ids 2>&1)
code=$?
# One that ended between the two calls is no container any more.
list=$(printf '%s\n' "$list" | grep -v '^Error: No such container\|^error: no such object\|^Error response from daemon: No such container')
[ "$code" = 0 ] || printf '%s\n' "$list" | grep -q '^/' || { printf '%s\n' "$list"; exit 3; }
apparmor=no
grep -qs apparmor /sys/kernel/security/lsm && apparmor=yes
printf '%s\n' "$list" | awk -F '|' -v what="$what" -v trusted="$*" -v apparmor="$apparmor" '
  BEGIN {
    count = split(trusted, words, " ")
    for (i = 1; i <= count; i++) known[words[i]] = 1
    if (what !~ /^(privileged|namespaces|mounts|confined|limits|fixed)$/) { print "unknown question"; stop = 3; exit }
  }
  function add(why) { reasons = reasons (reasons == "" ? "" : ", ") why }
  !/^\// { if ($0 != "") { print "docker inspect says: " $0; stop = 3; exit } next }
  # A bar in a path or a name would put each field after it in the place of another.
  NF != 16 { print "docker inspect tells other than was asked: " $0; stop = 3; exit }
  {
    name = substr($1, 2)
    if (name in known) next
    judged++
    reasons = ""
    if (what == "privileged") {
      if ($2 == "true") add("privileged")
      if ($3 != "") add("capabilities " $3)
    } else if (what == "namespaces") {
      if ($4 == "host") add("network of the host")
      if ($5 == "host") add("processes of the host")
      if ($6 == "host") add("IPC of the host")
      if ($7 == "host") add("name of the host")
      if ($8 == "host") add("users of the host")
    } else if (what == "mounts") {
      total = split($16, mounts, ",")
      for (i = 1; i <= total; i++) {
        writable = mounts[i] ~ /^true:/
        source = mounts[i]; sub(/^[a-z]*:/, "", source)
        if (source == "") continue
        if (source ~ /\/(docker|containerd|podman)\.sock$/) add("socket " source)
        else if (source ~ /^\/(run|var\/run)(\/(docker|containerd))?$/) add("folder " source)
        # With the data of the daemon, or cron, a container writes what root runs.
        else if (writable && source ~ /^\/var(\/(lib|spool|lib\/(docker|containerd|kubelet)|spool\/cron(\/.*)?))?$/) add("to write to: " source)
        else if (source == "/" || source == "/proc" || source == "/root" || source == "/etc") add("folder " source)
        else if (writable && source ~ /^\/(boot|dev|etc|lib|lib64|proc|root|sbin|bin|sys|usr)(\/|$)/ && source !~ /^\/dev\/shm/) add("to write to: " source)
      }
      if ($15 != "") add("devices " substr($15, 1, length($15) - 1))
    } else if (what == "confined") {
      if ($9 ~ /seccomp[=:]unconfined/ || $2 == "true") add("no seccomp")
      if (apparmor == "yes" && ($9 ~ /apparmor[=:]unconfined/ || $10 == "unconfined" || $10 == "" || $2 == "true")) add("no AppArmor")
    } else if (what == "limits") {
      if ($11 + 0 <= 0) add("memory")
      if ($12 + 0 <= 0) add("processes")
    } else {
      if ($13 != "true") add("root is writable")
      if ($9 !~ /no-new-privileges(,|$|[=:]true)/) add("may gain rights")
      if ($14 == "" || $14 == "0" || $14 == "root" || $14 ~ /^(0|root):/) add("runs as root")
    }
    if (reasons == "") next
    found++
    if (found <= 40) text = text name ": " reasons "\n"
    if (found <= 5) short = short (found > 1 ? ", " : "") name
  }
  END {
    if (stop) exit stop
    if (!judged) { print "no container runs that is judged"; exit 77 }
    if (!found) { print judged " container" (judged > 1 ? "s" : "") " judged"; exit 0 }
    print found " of " judged " container" (judged > 1 ? "s" : "") ": " short (found > 5 ? ", ..." : "")
    printf "%s", text
    if (found > 40) print "and " found - 40 " more"
    exit 1
  }'
