# Ends a run whose runner has died, as the runner would have: what it left
# half-made is removed, what is there now is written down, the result is told.
# Set before this text: ID (the run).
#   sh settle RESULT | dead
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
cd /
R=/var/lib/stockade/runs/$ID
P=/run/stockade/$ID
# clean FOLDER: files are made under a temporary name beside their place.
clean() { rm -rf --one-file-system -- "$1/.stockade-$ID-"*; }
# A file that is a mount point is written in its place: one that was cut off has its old content back.
restore_place() {
  if [ -e "$R/place/begun" ]; then p=$(cat "$R/place/path") && cat <"$R/place/old" >"$p" && sync -- "$p" || return; fi
  rm -rf -- "$R/place"
}
settled() {
  restore_place
  for g in "$R"/guard/*/; do
    [ ! -e "$g/confirmed" ] || [ ! -e "$g/kept" ] || sh "$g/program" confirm >/dev/null 2>&1 </dev/null
  done
  [ ! -e "$R/after" ] || (umask 077; sh "$R/after" >"$R/undo/after" 2>/dev/null </dev/null)
  rm -f -- "$R/before" "$R/after" "$R"/found-*
  rm -rf -- "$P" "$R"/guard/*/kept
  # Of two that end a run at once one alone tells its result.
  printf '%s\n' "$1" >"$R/result.$$"
  ! ln -T -- "$R/result.$$" "$R/result" 2>/dev/null || printf 'X %s\n' "$1" >>"$R/journal"
  rm -f -- "$R/result.$$"
}
# What a runner had begun must not go on without it: the next run has the host then.
end_orphans() {
  while IFS=: read -r n c p; do
    case $p in */stockade-run-$ID.service) ;; *) continue;; esac
    for f in "/sys/fs/cgroup$p" "/sys/fs/cgroup/unified$p" "/sys/fs/cgroup/systemd$p"; do
      [ -e "$f/cgroup.procs" ] || continue
      for i in 1 2 3 4 5 6 7 8 9 10; do
        o=
        while read -r q; do [ "$q" = $$ ] || { kill -KILL "$q" 2>/dev/null && o=1; }; done <"$f/cgroup.procs"
        [ -n "$o" ] || break
        sleep 0.02
      done
    done
  done </proc/self/cgroup
}
# Called by systemd when the runner is gone, however it went.
dead() {
  end_orphans
  restore_place
  rm -rf -- "$P"
  for g in "$R"/guard/*/; do
    [ ! -e "$g/armed" ] && [ ! -e "$g/reverting" ] ||
      sh "$g/program" revert 'the runner on the host ended before a new login confirmed the change'
  done
}
