#!/bin/sh
# Judges the size of core files that a login may write, as pam_limits merges its
# files (limits.conf(5): files of limits.d after the main one, in the order of
# their names; of equal subjects the last line counts; '*' is not for root), and
# what systemd-coredump keeps.
set -u
export LC_ALL=C
set -- /etc/security/limits.conf
for file in /etc/security/limits.d/*.conf; do [ ! -e "$file" ] || set -- "$@" "$file"; done
for file; do
  [ -e "$file" ] && [ ! -r "$file" ] && { echo "$file cannot be read"; exit 2; }
done
[ -e "$1" ] || shift
[ $# -gt 0 ] || { echo "this host has no pam_limits"; exit 77; }
said=$(awk '
  { sub(/#.*/, "") }
  $3 == "core" && ($2 == "hard" || $2 == "-") { last[$1] = $4; place[$1] = FILENAME ":" FNR }
  END {
    if (!("*" in last)) print "no line gives * a hard limit of 0 for core files"
    if (!("root" in last)) print "no line gives root a hard limit of 0 for core files"
    for (who in last) if (last[who] != "0") print place[who] ": " who " may write core files of " last[who]
  }' "$@") || { echo "the limits cannot be read: $said"; exit 2; }
if [ -x /usr/lib/systemd/systemd-coredump ]; then
  merged=$(systemd-analyze cat-config systemd/coredump.conf) || { echo "systemd-analyze does not tell coredump.conf"; exit 2; }
  storage=$(printf '%s\n' "$merged" | sed -n 's/^[[:space:]]*Storage[[:space:]]*=[[:space:]]*//p' | sed 's/[[:space:]]*$//' | tail -n 1)
  size=$(printf '%s\n' "$merged" | sed -n 's/^[[:space:]]*ProcessSizeMax[[:space:]]*=[[:space:]]*//p' | sed 's/[[:space:]]*$//' | tail -n 1)
  [ "$storage" = none ] || said="${said:+$said
}systemd-coredump keeps core files (Storage=${storage:-external, by default})"
  [ "$size" = 0 ] || said="${said:+$said
}systemd-coredump reads core files (ProcessSizeMax=${size:-the default})"
fi
[ -n "$said" ] || { echo "the limit of core files is 0"; exit 0; }
echo "core files may be written"
printf '%s\n' "$said" | head -n 40
exit 1
