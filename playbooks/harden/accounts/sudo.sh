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

# The text of a file and of what it includes, where no program reads it for us.
text() {
  [ "$2" -le 16 ] || return 1
  [ ! -e "$1" ] || [ -r "$1" ] || return 1
  cat "$1" && echo || return 1
  sed -n 's/^[[:space:]]*[#@]\(include\|includedir\)[[:space:]][[:space:]]*"\{0,1\}\([^"]*[^"[:space:]]\).*/\1 \2/p' "$1" | while read -r how at; do
    case $at in /*) ;; *) at=${1%/*}/$at ;; esac
    case $how in
      include) text "$at" $(($2 + 1)) || exit 1 ;;
      *) for file in "$at"/*; do case ${file##*/} in *~ | *.* | '*') ;; *) text "$file" $(($2 + 1)) || exit 1 ;; esac; done ;;
    esac
  done
}

# All lines, continued ones joined, without comments; aliases stand for their members
# where cvtsudoers is there. A line that begins with '#' and a digit is about a UID.
lines() {
  if command -v cvtsudoers >/dev/null; then
    all=$(cvtsudoers -e -f sudoers /etc/sudoers 2>/dev/null) || return 1
  else
    all=$(text /etc/sudoers 0 2>/dev/null) || return 1
  fi
  printf '%s\n' "$all" | sed -e ':again' -e '/\\$/N' -e 's/\\\n[[:space:]]*/ /' -e 't again' | sed 's/^[[:space:]]*//; /^#[^0-9]/d; /^#$/d; /^@include/d; /^$/d'
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
  all=$(lines) && [ -n "$all" ] || fail "the rules of sudo cannot be read: see visudo -c"
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
        if (word ~ /^exempt_group[ \t]*=/) print "a group is asked for no password: " $0
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
  all=$(lines) && [ -n "$all" ] || fail "the rules of sudo cannot be read: see visudo -c"
  # Of 'ada, bob ALL = (ALL) NOPASSWD: ALL' each name is judged; '!eve' takes one out.
  found=$(printf '%s\n' "$all" | grep -vE '^(Defaults|(User|Runas|Host|Cmnd|Cmd)_Alias)' | grep 'NOPASSWD[[:space:]]*:' |
    sed 's/[[:space:]]*,[[:space:]]*/,/g' | while read -r who rest; do
    for name in $(printf '%s\n' "$who" | tr ',' ' '); do
      case " $* " in *" $name "*) continue ;; esac
      case $name in !*) ;; *) printf '%s: %s %s\n' "$name" "$who" "$rest" ;; esac
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
