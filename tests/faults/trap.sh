#!/bin/sh
# Stands before a program of the host. At the chosen call, told by place, words
# and occurrence, the fault of the hour happens; every other call is handed on.
# /run/fault/armed: place, occurrence, fault, pattern of the call; a line each.
n=${0##*/}
F=/run/fault
for d in /usr/bin /usr/sbin; do [ ! -x "$d/$n" ] || break; done
if [ "$n" = date ] && [ -e $F/clock ]; then read -r now <$F/clock; set -- -d "$now" "$@"; fi
[ -e $F/armed ] || exec "$d/$n" "$@"
c=
while IFS=: read -r number controllers path; do
  case $number:$controllers in 0: | *:name=systemd) c=$path; [ "$path" = / ] || break;; esac
done </proc/self/cgroup
case $c in *stockade-run*) place=runner;; *stockade-guard*) place=guard;; *) place=session;; esac
printf '%s %s %s\036\n' "$place" "$n" "$*" >>$F/calls
{ read -r where; read -r nth; read -r fault; IFS= read -r pattern; } 2>/dev/null <$F/armed || exec "$d/$n" "$@"
[ "$where" = "$place" ] || exec "$d/$n" "$@"
# shellcheck disable=SC2254 # it is a pattern
case "$n $*" in $pattern) ;; *) exec "$d/$n" "$@";; esac
k=1
set -C
until true >"$F/hit.$k"; do k=$((k + 1)); done 2>/dev/null
set +C
[ "$k" = "$nth" ] && /usr/bin/mv $F/armed $F/fired 2>/dev/null || exec "$d/$n" "$@"

# Kills all of the place, this shell last.
end() {
  if [ $place = session ]; then
    # Up to what sshd has made for this login; from there down, so that none ends by itself.
    p=$PPID all=
    while [ "$p" -gt 1 ]; do
      all="$p $all"
      read -r name <"/proc/$p/comm"
      [ "$name" != sshd ] || break
      p=$(/usr/bin/sed -n 's/^PPid:\t//p' "/proc/$p/status")
    done
    kill -9 $all 2>/dev/null
  else
    for r in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
      [ -e "$r$c/cgroup.procs" ] || continue
      more=1
      while [ -n "$more" ]; do
        more=
        while read -r p; do [ "$p" = $$ ] || { kill -9 "$p" 2>/dev/null && more=1; }; done <"$r$c/cgroup.procs"
      done
    done
  fi
  kill -9 $$
}

pause() {
  /usr/bin/mkfifo $F/go
  : >$F/paused
  read -r word <$F/go
  /usr/bin/rm -f $F/go $F/paused
}

case $fault in
before) end ;;
after) "$d/$n" "$@"; end ;;
# Half of what it was to write is written.
within) "$d/$n" "$@" | /usr/bin/head -c 3; end ;;
# Only the runner itself; what it has begun goes on.
alone)
  kill -9 "$(/usr/bin/systemctl show -p MainPID --value "${c##*/}")"
  exec "$d/$n" "$@" ;;
refuse) echo "$n: Input/output error" >&2; exit 1 ;;
pause)
  pause
  exec "$d/$n" "$@" ;;
# The call is done, and what follows it waits for a word: `end` is that it does not come.
hold)
  "$d/$n" "$@"; r=$?
  pause
  [ "$word" != end ] || end
  exit "$r" ;;
esac
