# Ends a run whose runner has died, as the runner would have: what it left
# half-made is removed, what is there now is written down, the result is told.
# Set before this text: ID (the run).  sh settle RESULT
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
cd /
R=/var/lib/stockade/runs/$ID
P=/run/stockade/$ID
# clean FOLDER: files are made under a temporary name beside their place.
clean() { rm -rf --one-file-system -- "$1/.stockade-$ID-"*; }
settled() {
  [ ! -e "$R/after" ] || (umask 077; sh "$R/after" >"$R/undo/after" 2>/dev/null </dev/null)
  rm -f -- "$R/before" "$R/after"
  rm -rf -- "$P"
  [ ! -e "$R/result" ] || return 0
  printf '%s\n' "$1" >"$R/result.new"
  mv -f "$R/result.new" "$R/result"
  printf 'X %s\n' "$1" >>"$R/journal"
}
