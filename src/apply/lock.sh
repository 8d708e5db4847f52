# One run at a time on a host: a lock that goes with its holder.
L=/run/lock/stockade.lock
# take_lock SECONDS: holds it as descriptor 9. Made, and cleared of what is not
# ours, under a lock on a directory that is root's alone: everybody may write
# where the lock is, and whoever may read it may hold it.
take_lock() {
  (umask 077; mkdir -p /run/stockade)
  exec 8</run/stockade
  flock 8
  if [ -e "$L" ] || [ -L "$L" ]; then
    [ -f "$L" ] && [ -O "$L" ] && [ ! -L "$L" ] || rm -rf -- "$L"
  fi
  (umask 077; : >>"$L")
  chmod 0600 "$L"
  exec 9>>"$L" 8<&-
  flock -w "$1" 9
}
