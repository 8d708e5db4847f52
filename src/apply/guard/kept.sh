# What a guard keeps of files, units and settings, and how it puts them back.

is_systemd() { [ -d /run/systemd/system ]; }
is_dir() { [ -d "$1" ] && [ ! -L "$1" ]; }
# copy_metadata FROM TO: of directories, with access control list and extended attributes.
copy_metadata() {
  { tar --acls --xattrs --no-recursion -C "$1" -c -f - . | tar --acls --xattrs -p -x -f - -C "$2"; } 2>/dev/null
  chown --reference="$1" -- "$2"; chmod --reference="$1" -- "$2"
}
# attributes FILE: type, mode, owner and group, and whether it has an access control list.
attributes() { stat -c '%f %u %g' -- "$1"; ls -ld -- "$1" | cut -c 11; }

# copy_tree FROM TO: what is in a directory, without what is mounted there. Links
# take no room, where both are on one file system; a directory that goes is not written to.
copy_tree() { cp -a -x -l --remove-destination -- "$1/." "$2/" 2>/dev/null || cp -a -x --remove-destination -- "$1/." "$2/"; }
# keep NUMBER PATH WHOLE: of a directory itself alone, or with all that is in it.
keep() {
  if is_dir "$2" && [ "$3" = whole ]; then TREE=1; mkdir -- "$K/$1"; copy_tree "$2" "$K/$1"; copy_metadata "$2" "$K/$1"
  elif is_dir "$2"; then mkdir -- "$K/$1"; copy_metadata "$2" "$K/$1"
  elif [ -e "$2" ] || [ -L "$2" ]; then cp -a -- "$2" "$K/$1"
  else : >"$K/$1.absent"; fi
}
# restore_path NUMBER PATH: puts back what was there.
restore_path() {
  [ ! -e "$K/$1.absent" ] || return 0
  [ -e "$K/$1" ] || [ -L "$K/$1" ] || return 0
  if is_dir "$K/$1"; then
    is_dir "$2" || { rm -f -- "$2"; mkdir -- "$2"; }
    copy_tree "$K/$1" "$2"
    copy_metadata "$K/$1" "$2"
    return
  fi
  if [ ! -L "$2" ] && [ ! -L "$K/$1" ] && cmp -s -- "$K/$1" "$2" &&
    [ "$(attributes "$K/$1")" = "$(attributes "$2")" ]; then return 0; fi
  ! is_dir "$2" || rm -rf --one-file-system -- "$2"
  t=${2%/*}/.stockade-$ID-guard
  rm -f -- "$t"
  cp -a -- "$K/$1" "$t"
  [ -L "$t" ] || sync -- "$t"
  mv -fT -- "$t" "$2"
}
# remove_created NUMBER PATH WHOLE: removes what was not there; a directory with all that
# is in it only where the phase made it as a home.
remove_created() {
  [ -e "$K/$1.absent" ] || return 0
  if ! is_dir "$2"; then rm -f -- "$2"
  elif [ "$3" = whole ]; then rm -rf --one-file-system -- "$2"
  else rmdir -- "$2" 2>/dev/null || :; fi
}
# keep_unit NUMBER UNIT
keep_unit() { ! is_systemd || systemctl show -p ActiveState -p UnitFileState -- "$2" >"$K/$1"; }
# Starts of earlier phases count to systemd's limits, those of sshd by its socket
# too: beyond them neither is started any more, and nobody can log in.
forget_starts() { systemctl -q reset-failed -- "$@" ssh.socket ssh.service sshd.service 2>/dev/null || :; }
# start_unit UNIT
start_unit() {
  forget_starts "$1"
  case $1 in *.socket) socket_verb start "$1";; *) systemctl start -- "$1";; esac
}
# restart_unit UNIT
restart_unit() {
  forget_starts "$1"
  case $1 in *.socket) socket_verb restart "$1";; *) systemctl reload-or-restart -- "$1";; esac
}
# restore_unit NUMBER UNIT AGAIN: a unit that was told something in the phase is told again.
restore_unit() {
  is_systemd || return 0
  e=$(sed -n 's/^UnitFileState=//p' "$K/$1") a=$(sed -n 's/^ActiveState=//p' "$K/$1")
  n=$(systemctl show -p UnitFileState --value -- "$2")
  if [ "$e" != "$n" ]; then
    [ "$n" != masked ] || systemctl -q unmask -- "$2"
    case $e in masked) systemctl -q mask -- "$2";; enabled) systemctl -q enable -- "$2";; disabled) systemctl -q disable -- "$2";; esac
  fi
  [ "$MODE" != boot ] || return 0
  case $a in
  active | reloading | activating)
    if ! systemctl -q is-active -- "$2"; then start_unit "$2"
    elif [ "$3" = again ]; then restart_unit "$2"; fi ;;
  *) ! systemctl -q is-active -- "$2" || systemctl stop -- "$2" ;;
  esac
  rm -f -- "/var/lib/stockade/owed/restart:$2" "/var/lib/stockade/owed/reload:$2"
}
# keep_metas NUMBER PATH ACROSS: owner, group and mode of all that is below a directory.
keep_metas() {
  is_dir "$2" || { : >"$K/$1"; return 0; }
  if [ -n "$3" ]; then find -P "$2" -mindepth 1 -printf '%U:%G\0%m\0%p\0' >"$K/$1"
  else find -P "$2" -xdev -mindepth 1 -printf '%U:%G\0%m\0%p\0' >"$K/$1"; fi
}
# restore_metas NUMBER: gives them back to what is still there.
restore_metas() {
  [ ! -s "$K/$1" ] || xargs -0 -n 300 sh -c 'while [ $# -ge 3 ]; do
    if [ -e "$3" ] || [ -L "$3" ]; then
      [ "$(stat -c "%u:%g %a" -- "$3")" = "$1 $2" ] || { chown -h -- "$1" "$3"; [ -L "$3" ] || chmod -- "0000$2" "$3"; }
    fi
    shift 3
  done' metas <"$K/$1"
}
keep_hostname() { cat /proc/sys/kernel/hostname >"$K/hostname"; }
keep_sysctl() { [ ! -e "$2" ] || cat <"$2" >"$K/$1"; }
# What is as it was is not written: a parameter that sets another one sets it with any write.
restore_sysctl() { [ ! -s "$K/$1" ] || [ "$(cat "$2")" = "$(cat "$K/$1")" ] || cat <"$K/$1" >"$2"; }
# keep_sysctls NUMBER DIRECTORY NAME: the parameter of each interface.
keep_sysctls() {
  for _f in "$2"/*/"$3"; do
    case $_f in "$2/all/$3" | "$2/default/$3") ;; *) [ ! -e "$_f" ] || printf '%s %s\n' "$_f" "$(cat "$_f")" ;; esac
  done >"$K/$1"
}
restore_sysctls() {
  while read -r _f _v; do
    [ ! -e "$_f" ] || [ "$(cat "$_f")" = "$_v" ] || printf '%s\n' "$_v" >"$_f"
  done <"$K/$1"
}
