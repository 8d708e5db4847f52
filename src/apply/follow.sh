# Starts a run's runner, or finds the one that runs, and tells its journal.
# Set before this text: ID (the run), FROM (the first line to tell) and, with
# data on standard input, SIZE (its bytes).
# After the journal's lines come `@pause` (a guard awaits a new login),
# `@absent` (the host has no such run), or `@result WORD` and what failed.
R=/var/lib/stockade/runs/$ID
P=/run/stockade/$ID
umask 077

# All data comes to a place of this attempt's own first: of two attempts whose
# connections broke, one alone becomes the run.
upload() {
  mkdir -p /var/lib/stockade/runs /run/stockade /run/lock &&
    chmod 0700 /var/lib/stockade /var/lib/stockade/runs /run/stockade &&
    mkdir "$S" && tar -x -f - -C "$S" && [ -e "$S/complete" ] && echo "$$" >"$S/from" || return
  # Another attempt has arrived meanwhile: that one is followed.
  mkdir "$R" 2>/dev/null || { [ -e "$R/journal" ] || rm -rf -- "$R" "$P"; mkdir "$R" 2>/dev/null || return; }
  mkdir "$R/undo" && cp -R "$S/keep/." "$R/" && rm -rf -- "$S/keep" "$S/complete" &&
    mv -T "$S" "$P" && : >"$R/journal" && find "$R" -exec sync -- {} + && sync -- "${R%/*}" || { rm -rf -- "$R" "$P"; return 1; }
}
launch() {
  mkdir "$P/launched" 2>/dev/null || return 0
  echo "$$" >"$P/launched/by"
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
    # What steps leave running is no longer the run's; what a killed runner leaves is ended.
    systemd-run --quiet --collect --unit "stockade-run-$ID" --property=KillMode=process \
      --property=ExecStopPost="/bin/sh $R/settle dead" --property=TimeoutStopSec=300 /bin/sh "$R/script" </dev/null >/dev/null 2>&1
  else
    # Not a child of ours: one that has ended and that nobody waits for looks alive.
    (setsid /bin/sh "$R/script" </dev/null >/dev/null 2>&1 & echo "$!" >"$P/pid")
  fi
  rm -f -- "$P/launched/by"
}
# A runner that somebody else is just starting is not there yet, and not dead.
await_launch() {
  i=0
  while p=$(cat "$P/launched/by" 2>/dev/null) && [ ! -e "$R/result" ] && kill -0 "$p" 2>/dev/null && [ "$i" -lt 600 ]; do
    i=$((i + 1))
    sleep 0.05
  done
}
# runner: prints the runner's process, nothing if it has ended.
runner() {
  if [ -s "$P/pid" ]; then p=$(cat "$P/pid"); else p=$(systemctl show -p MainPID --value "stockade-run-$ID" 2>/dev/null); fi
  if [ "${p:-0}" != 0 ] && kill -0 "$p" 2>/dev/null; then printf %s "$p"; fi
}
# systemd still ends what the runner has left.
is_ending() { [ ! -s "$P/pid" ] && [ "$(systemctl show -p ActiveState --value "stockade-run-$ID" 2>/dev/null)" = deactivating ]; }
# Nobody else waits for a guard whose runner has died: it is put back at once.
close_guards() {
  for g in "$R"/guard/*/; do
    [ ! -e "$g/armed" ] && [ ! -e "$g/reverting" ] ||
      sh "$g/program" revert 'the runner on the host ended before a new login confirmed the change' >/dev/null 2>&1 </dev/null
  done
}
follow() {
  await_launch
  p=$(runner)
  # Not in the run's own place, which the runner removes as it ends.
  f=/run/stockade/.$ID-$$.lines
  if [ -n "$p" ] && mkfifo "$f" 2>/dev/null; then
    tail -n "+$FROM" -s 0.02 --pid="$p" -f "$R/journal" >"$f" 2>/dev/null &
    t=$!
    exec 4<"$f"
    rm -f -- "$f"
    while IFS= read -r l <&4; do
      printf '%s\n' "$l"
      FROM=$((FROM + 1))
      case $l in "C "*) kill "$t" 2>/dev/null; printf '@pause\n'; exit 0;; "X "*) kill "$t" 2>/dev/null; break;; esac
    done
    wait "$t"
  fi
  while [ ! -e "$R/result" ] && { [ -n "$(runner)" ] || is_ending; }; do sleep 0.1; done
  [ -e "$R/result" ] || close_guards
  tail -n "+$FROM" "$R/journal"
}

# What was brought half-way by somebody who is gone.
for d in /run/stockade/.*-*-*; do
  [ ! -d "$d" ] || kill -0 "${d##*-}" 2>/dev/null || rm -rf -- "$d"
done
if [ -n "$SIZE" ]; then
  S=/run/stockade/.$ID-$$
  # Whatever happens, all of the data is read: what is left would be taken for a program.
  # What is said on the way to success, or to a run that is there already, is not the journal's.
  head -c "$SIZE" | {
    o=$( (upload) 2>&1); r=$?
    cat >/dev/null
    [ "$r" = 0 ] || [ -e "$R/journal" ] || printf '%s\n' "$o"
    exit "$r"
  } || { rm -rf -- "$S"; [ -e "$R/journal" ] || exit 70; }
fi
[ -e "$R/journal" ] || { printf '@absent\n'; exit 0; }
[ -e "$R/result" ] || launch
follow
printf '@result %s\n' "$(cat "$R/result" 2>/dev/null)"
cat "$R/failed" 2>/dev/null
# A host that is about to restart waits for this.
[ "$(cat "$R/result" 2>/dev/null)" != reboot ] || : >"$P.told"
exit 0
