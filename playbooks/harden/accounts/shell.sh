#!/bin/sh
# Judges what shells of logins set, in the order in which they read their files.
#
#   shell.sh umask | timeout
set -u
export LC_ALL=C

fail() { echo "$1"; exit 2; }
set -- "${1:-}" /etc/profile
for file in /etc/profile.d/*.sh; do [ ! -e "$file" ] || set -- "$@" "$file"; done
for file in /etc/bash.bashrc /etc/zsh/zshenv /etc/zsh/zprofile /etc/zsh/zshrc /root/.profile /root/.bash_profile /root/.bashrc; do
  [ ! -e "$file" ] || set -- "$@" "$file"
done
what=$1
shift
for file; do [ ! -e "$file" ] || [ -r "$file" ] || fail "$file cannot be read"; done
[ -e "$1" ] || shift

case $what in
  umask)
    found=$(awk '
      # "sets": a mask leaves nothing to others, and no writing to the group. "takes": it
      # only takes rights away from what was set before. "weak": neither is certain.
      function octal(mask,  own) {
        own = substr("000" mask, length(mask) + 1)
        return substr(own, 2, 1) ~ /[2367]/ && substr(own, 3, 1) == "7" ? "sets" : "weak"
      }
      function symbols(mask,  count, clause, i, who, rights, group, others, some_set) {
        count = split(mask, clause, ",")
        for (i = 1; i <= count; i++) {
          if (clause[i] !~ /^[ugoa]*[=-][rwxX]*$/) return "weak"
          match(clause[i], /[=-]/)
          if (substr(clause[i], RSTART, 1) == "-") continue
          who = substr(clause[i], 1, RSTART - 1); rights = substr(clause[i], RSTART + 1)
          some_set = 1
          if (who == "" || who ~ /[ga]/) group = rights ~ /w/ ? "weak" : "sets"
          if (who == "" || who ~ /[oa]/) others = rights == "" ? "sets" : "weak"
        }
        if (!some_set) return "takes"
        return group == "sets" && others == "sets" ? "sets" : "weak"
      }
      {
        line = $0; sub(/^[ \t]*#.*/, "", line); sub(/[ \t]#.*/, "", line)
        # Each umask of a line, wherever it stands there.
        while (match(line, /(^|[;&|({ \t])umask[ \t]+[^ \t;&|)}]+/)) {
          mask = substr(line, RSTART, RLENGTH); line = substr(line, RSTART + RLENGTH)
          sub(/^.*umask[ \t]+/, "", mask); gsub(/["\047]/, "", mask)
          # An option: it prints the mask.
          if (mask ~ /^-/) continue
          is = mask ~ /^[0-7]+$/ ? octal(mask) : symbols(mask)
          if (is == "weak") print FILENAME ":" FNR ": umask " mask " is weaker than 027"
          else if (is == "sets" && FILENAME ~ /^\/etc\/prof/) some = 1
        }
      }
      END { if (!some) print "no file of login shells sets a umask of 027 or stricter" }' "$@") || fail "the files of shells cannot be read"
    mask=$(awk '$1 == "UMASK" { print $2 }' /etc/login.defs 2>/dev/null | tail -n 1)
    case ${mask:-022} in *[2367]7) ;; *) found="${found:+$found
}/etc/login.defs: UMASK is ${mask:-022, by default}" ;; esac
    right="new files are not for others" wrong="new files may be for others" ;;
  timeout)
    found=$(awk '
      { sub(/^[ \t]*#.*/, "") }
      match($0, /TMOUT=[0-9]+/) {
        seconds = substr($0, RSTART + 6, RLENGTH - 6) + 0
        if (seconds < 1 || seconds > 900) print FILENAME ":" FNR ": TMOUT is " seconds ", not 1 to 900"
        else if (FILENAME ~ /^\/etc\/prof/) some = 1
      }
      /readonly[ \t]+.*TMOUT|(typeset|declare)[ \t]+-[a-z]*r[a-z]*[ \t]+.*TMOUT/ { fixed = 1 }
      END {
        if (!some) print "no file of login shells sets TMOUT to 1 to 900 seconds"
        else if (!fixed) print "TMOUT is not readonly"
      }' "$@") || fail "the files of shells cannot be read"
    right="shells that nobody uses end" wrong="shells that nobody uses stay" ;;
  *) fail "shell.sh does not know '$what'" ;;
esac
[ -n "$found" ] || { echo "$right"; exit 0; }
echo "$wrong"
printf '%s\n' "$found" | head -n 40
exit 1
