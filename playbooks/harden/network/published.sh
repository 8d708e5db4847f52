#!/bin/sh
# Ports that containers publish to others and nobody declared. $1: "any" where
# the networks that reach them all are declared, else "only"; then ports: 443/tcp.
LC_ALL=C
export LC_ALL
mode=$1
shift
{ pid=$(cat /run/docker.pid 2>/dev/null) && [ -e "/proc/$pid" ]; } ||
  [ "$(systemctl is-active docker.service 2>/dev/null)" = active ] || { echo 'Docker does not run here'; exit 77; }
if [ "$mode" = any ]; then
  echo 'the networks that reach published ports are declared'
  exit 0
fi
list=$(timeout 20 docker ps --no-trunc --format '{{.Names}} {{.Ports}}' 2>&1) || { printf '%s\n' "$list"; exit 3; }
printf '%s\n' "$list" | awk -v declared="$*" '
  BEGIN {
    count = split(declared, words, " ")
    for (i = 1; i <= count; i++) known[words[i] ~ /\// ? words[i] : words[i] "/tcp"] = 1
  }
  {
    for (i = 2; i <= NF; i++) {
      port = $i; sub(/,$/, "", port)
      if (port !~ /->/) continue
      protocol = port; sub(/.*\//, "", protocol)
      sub(/->.*/, "", port)
      if (port ~ /^127\./ || port ~ /^\[?::1\]?:/) continue
      address = port; sub(/.*:/, "", port)
      ends = split(port, range, "-")
      for (number = range[1] + 0; number <= range[ends] + 0; number++)
        if (!((number "/" protocol) in known)) {
          key = number "/" protocol " " $1
          if (!(key in seen)) { seen[key] = 1; found++; if (found <= 40) text = text $1 " " $i "\n"; if (found <= 5) short = short (found > 1 ? ", " : "") key }
        }
    }
  }
  END {
    if (!found) { print "no container publishes a port that is not declared"; exit 0 }
    print found " published port" (found > 1 ? "s" : "") " not declared: " short (found > 5 ? ", ..." : "")
    printf "%s", text
    if (found > 40) print "and " found - 40 " more"
    exit 1
  }'
