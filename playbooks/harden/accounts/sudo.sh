#!/bin/sh
# Judges the rules of sudo as visudo and cvtsudoers read them, includes and all.
#
#   sudo.sh rules | defaults | nopasswd NAME…
set -u
export LC_ALL=C

fail() { echo "$1"; exit 2; }
[ -e /etc/sudoers ] || { echo "this host has no sudo"; exit 77; }
[ -r /etc/sudoers ] || fail "/etc/sudoers cannot be read"
PATH=$PATH:/usr/sbin:/sbin

# All lines, continued ones joined, without comments.
lines() {
  if command -v cvtsudoers >/dev/null; then
    cvtsudoers -f sudoers /etc/sudoers 2>/dev/null
  else
    cat /etc/sudoers
    for file in /etc/sudoers.d/*; do case $file in *~ | *.*/* | */*.*) ;; *) [ ! -e "$file" ] || cat "$file" ;; esac; done
  fi | sed -e ':again' -e '/\\$/N' -e 's/\\\n[[:space:]]*/ /' -e 't again' | sed 's/^[[:space:]]*//; /^#/d; /^$/d'
}
finish() {
  [ -n "$found" ] || { echo "$1"; exit 0; }
  echo "$2: $(printf '%s\n' "$found" | grep -c .)"
  printf '%s\n' "$found" | head -n 40
  exit 1
}

rules() {
  found=$(visudo -c 2>&1) && found=
  finish "visudo accepts every file" "visudo finds faults"
}

defaults() {
  all=$(lines) || fail "the rules of sudo cannot be read"
  [ -n "$all" ] || fail "cvtsudoers does not tell the rules of sudo"
  found=$(printf '%s\n' "$all" | awk '
    /^Defaults/ {
      rest = $0; sub(/^Defaults[^ \t]*[ \t]+/, "", rest); all = $1 == "Defaults"
      n = split(rest, part, /[ \t]*,[ \t]*/)
      for (at = 1; at <= n; at++) {
        word = part[at]; sub(/[ \t]+$/, "", word)
        if (word ~ /^!use_pty/) { pty = 0; if (!all) print $0 }
        else if (word ~ /^use_pty/ && all) pty = 1
        if (word ~ /^!(log_file|logfile)/) log_file = ""
        else if (word ~ /^logfile[ \t]*=/ && all) { log_file = word }
        if (word ~ /^!authenticate/) print "no password is asked for: " $0
        if (word ~ /^timestamp_timeout[ \t]*=/) { minutes = word; sub(/.*=[ \t]*/, "", minutes)
          if (minutes + 0 > 15 || minutes + 0 < 0) print "a password counts for " minutes " minutes: " $0 }
        if (word ~ /^visiblepw/) print "passwords are shown: " $0
      }
    }
    END {
      if (!pty) print "use_pty is not on for all"
      if (log_file == "") print "there is no logfile"
    }')
  finish "sudo asks, writes a log and runs commands in a terminal of their own" "settings of sudo that are not as demanded"
}

nopasswd() {
  all=$(lines) || fail "the rules of sudo cannot be read"
  [ -n "$all" ] || fail "cvtsudoers does not tell the rules of sudo"
  found=$(printf '%s\n' "$all" | grep -v '^Defaults' | grep 'NOPASSWD' | while read -r who rest; do
    for name in $(echo "$who" | tr ',' ' '); do
      case " $* " in *" $name "*) ;; *) echo "$name: $who $rest" ;; esac
    done
  done)
  finish "only declared accounts use sudo without password" "rules without password that are not declared"
}

what=${1:-}
[ $# -eq 0 ] || shift
case $what in
  rules | defaults | nopasswd) "$what" "$@" ;;
  *) fail "sudo.sh does not know '$what'" ;;
esac
