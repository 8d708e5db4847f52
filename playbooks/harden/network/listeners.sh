#!/bin/sh
# Sockets that others reach and nobody declared. $1: listeners, or mail for the
# ports of mail alone; then what is declared: 22/tcp, 6000:6010/udp, 53.
LC_ALL=C
export LC_ALL
what=$1
shift
# The processes of root that are docker-proxy: anybody may call a program so.
proxies=
for comm in /proc/[0-9]*/comm; do
  { read -r name <"$comm"; } 2>/dev/null || continue
  [ "$name" != docker-proxy ] || [ "$(stat -c %u "${comm%/comm}" 2>/dev/null)" != 0 ] || { at=${comm%/comm}; proxies="$proxies ${at#/proc/}"; }
done
sockets=$(ss -Hltunp 2>&1) || { printf '%s\n' "$sockets"; exit 3; }
printf '%s\n' "$sockets" | awk -v what="$what" -v declared="$*" -v proxies="$proxies " '
  BEGIN {
    count = split(declared, words, " ")
    for (i = 1; i <= count; i++) {
      protocol = ""; ports = words[i]
      if ((at = index(ports, "/")) > 0) { protocol = substr(ports, at + 1); ports = substr(ports, 1, at - 1) }
      parts = split(ports, list, ",")
      for (j = 1; j <= parts; j++) {
        total++
        ends = split(list[j], range, ":")
        low[total] = range[1] + 0
        high[total] = range[ends] + 0
        kind[total] = protocol
      }
    }
  }
  NF >= 5 {
    protocol = $1; address = $5
    port = address; sub(/.*:/, "", port)
    sub(/:[^:]*$/, "", address)
    if (address ~ /^(\[::ffff:)?127\./ || address ~ /^\[::1\]/ || address ~ /%lo$/) next
    program = "the kernel"
    if (match($0, /\(\("[^"]*"/)) program = substr($0, RSTART + 3, RLENGTH - 4)
    # Ports that containers publish are judged by another control.
    if (program == "docker-proxy" && match($0, /,pid=[0-9]+/) && index(proxies, " " substr($0, RSTART + 5, RLENGTH - 5) " ")) next
    if (what == "mail" && (protocol != "tcp" || (port != 25 && port != 465 && port != 587))) next
    for (i = 1; i <= total; i++)
      if (port + 0 >= low[i] && port + 0 <= high[i] && (kind[i] == "" || kind[i] == protocol)) next
    key = port "/" protocol " " program
    if (!(key in seen)) { seen[key] = 1; found++; short = short (found > 1 ? ", " : "") key }
    lines++
    if (lines <= 40) text = text protocol " " address ":" port " " program "\n"
  }
  END {
    if (!found) { print "nothing listens that is not declared"; exit 0 }
    if (length(short) > 200) short = substr(short, 1, 200) "..."
    print found " listener" (found > 1 ? "s" : "") " not declared: " short
    printf "%s", text
    if (lines > 40) print "and " lines - 40 " more"
    exit 1
  }'
