# The runner: carries out one run's operations, detached from the connection.
# Set before this text: ID (the run), UNDOES (the run that it takes back, or
# empty), WHO (for the lock), SPARED (packages that must stay), MAY_GO (packages
# that the playbook names to go). Every operation runs in a subshell under
# set -e; its begin and end go to the journal.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C HOME=/root LIMIT=
DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
export PATH LC_ALL HOME DEBIAN_FRONTEND NEEDRESTART_SUSPEND APT_LISTCHANGES_FRONTEND
umask 022
cd /
R=/var/lib/stockade/runs/$ID
P=/run/stockade/$ID
PENDING=/var/lib/stockade/owed

journal() { printf '%s\n' "$*" >>"$R/journal"; }
# What is there: before the first operation with the files' bytes, after the last with digests.
snapshot() { (umask 077; sh "$R/$1" >"$R/undo/$1" 2>/dev/null </dev/null 9>&-); rm -f -- "$R/$1"; }
# found NUMBER: what a step finds that comes after packages or commands of this run.
found() { (umask 077; sh "$R/found-$1" >"$R/undo/found-$1.new" 2>/dev/null </dev/null 9>&- && mv -f -- "$R/undo/found-$1.new" "$R/undo/found-$1"); rm -f -- "$R/found-$1"; }
finish() { [ "$1" != ok ] || [ ! -s "$P/again" ] || pending_again >>"$R/log" 2>&1 </dev/null 9>&-; case $1 in locked|unfinished) ;; *) snapshot after;; esac; rm -f -- "$R"/found-*; printf '%s\n' "$1" >"$R/result.new"; mv -f "$R/result.new" "$R/result"; rm -rf -- "$P"; journal "X $1"; exit 0; }

# Whoever took over from a controller that is gone may have ended this run before
# its runner began: then there is nothing to do, and nothing to do it with.
[ ! -e "$R/result" ] || exit 0
# A run that is being settled holds it for a moment. The result comes before the
# line: whoever has the lock takes a run with a line and no result for a dead one.
if ! take_lock 2; then
  printf 'locked\n' >"$R/result.new" && mv -f "$R/result.new" "$R/result"
  journal "L $(cat "$L")"
  finish locked
fi
[ ! -e "$R/result" ] || exit 0
true >"$P/begun"
printf '%s since %s, run %s' "$WHO" "$(date -u '+%Y-%m-%d %H:%M:%S UTC')" "$ID" >"$L"

# A run that ended without a result is settled before another begins. One that
# has not written a line has done nothing: it will find the lock held.
for r in /var/lib/stockade/runs/*/; do
  r=${r%/}
  if [ "$r" != "$R" ] && [ -s "$r/journal" ] && [ ! -e "$r/result" ]; then journal "U ${r##*/}"; finish unfinished; fi
done

# Clocks jump: the order of runs is counted.
n=$(cat /var/lib/stockade/count 2>/dev/null)
n=$((${n:-0} + 1))
printf '%s\n' "$n" >"$R/number" && cp "$R/number" /var/lib/stockade/count.new && mv -f /var/lib/stockade/count.new /var/lib/stockade/count

# The last 50 runs are remembered. One that was refused has no number; it goes
# with those that ended after it.
forget() {
  old= edge=
  for r in /var/lib/stockade/runs/*/; do
    read -r i <"${r}number" && [ "$i" -le "$1" ] && [ -e "${r}result" ] || continue
    old="$old $r"
    [ "$edge" -nt "${r}result" ] || edge=${r}result
  done 2>/dev/null
  [ -n "$edge" ] || return 0
  for r in /var/lib/stockade/runs/*/; do [ -e "${r}number" ] || [ ! "${r}result" -ot "$edge" ] || old="$old $r"; done
  rm -rf -- $old
}
[ "$n" -le 50 ] || forget "$((n - 50))"

# own_name UNIT: its own name where this is an alias; nothing where there is no such unit.
own_name() {
  o=$(systemctl show -p Id -p LoadState -- "$1" 2>/dev/null)
  case $o in
  *LoadState=not-found*)
    # An alias has its link only while its unit is enabled; the unit's file tells it.
    grep -s '^Alias=' /etc/systemd/system/*.* /usr/local/lib/systemd/system/*.* /usr/lib/systemd/system/*.* /lib/systemd/system/*.* |
      while IFS=: read -r f a; do case " ${a#Alias=} " in *" $1 "*) printf '%s\n' "${f##*/}"; break;; esac; done ;;
  *Id=?*) printf '%s\n' "$o" | sed -n 's/^Id=//p' ;;
  *) printf '%s\n' "$1" ;;
  esac
}
# A unit that is gone holds nothing old: when it comes back it starts with what is
# there. What was noted by an alias is done once, under the unit's own name.
for l in "$PENDING"/restart:* "$PENDING"/reload:*; do
  [ -e "$l" ] || continue
  u=$(own_name "${l#*:}")
  if [ -z "$u" ]; then rm -f -- "$l"; elif [ "$u" != "${l#*:}" ]; then mv -f -- "$l" "${l%%:*}:$u"; fi
done

snapshot before

# begin NUMBER; ended NUMBER CODE
begin() { journal "B $1"; }
ended() {
  if [ -s "$P/out" ]; then { printf '== operation %s\n' "$1"; cat "$P/out"; } >>"$R/log"; fi
  # What dpkg had done is told of one operation alone.
  [ "$2" != 0 ] || rm -f -- "$P/dpkg"
  if [ "$2" = 0 ] && [ -e "$P/idle" ]; then
    rm -f -- "$P/idle"
    journal "N $1"
    return
  fi
  if [ "$2" = 0 ] && [ -e "$P/later" ]; then rm -f -- "$P/later" "$P/newly-pending"; journal "T $1"; return; fi
  rm -f -- "$P/newly-pending"
  if [ "$2" = 0 ]; then MADE=1; journal "E $1"; [ ! -e "$P/reboot" ] || leave "$1"; return; fi
  [ ! -e "$P/dpkg" ] || ! same_packages || : >"$P/untouched"
  tail -c 8000 "$P/out" >"$R/failed" 2>/dev/null
  if [ -e "$P/untouched" ]; then journal "F $1 $2 untouched"; else journal "F $1 $2"; fi
  [ -z "$GUARD" ] || put_back "$GUARD" "operation $1 failed"
  finish failed
}
# step_over: after the last operation of a step. What it has newly made due is no
# more so where none of its operations has changed anything.
step_over() {
  [ -e "$P/newly-pending" ] || return 0
  while read -r d; do clear_pending "$d"; done <"$P/newly-pending"
  rm -f -- "$P/newly-pending"
}
# What may cut off access is done under a guard (guard/state.sh).
GUARD= SENSITIVE=
in_guard() { sh "$R/guard/$GUARD/program" "$@" >"$P/out" 2>&1 </dev/null 9>&-; }
# guarded NUMBER FIRST-OPERATION [sensitive]
guarded() {
  GUARD=$1 MADE= SENSITIVE=$3
  journal "G $1"
  in_guard save && [ -e "$R/guard/$1/armed" ] || guard_failed "$2"
}
# checked OPERATION: before the first of a phase that makes a daemon take up what is new.
checked() { in_guard check || guard_failed "$1"; }
# guard_failed OPERATION: the guard refuses the phase as a whole, and any of its operations may be the reason.
guard_failed() {
  w=$(head -n 1 "$P/out" 2>/dev/null | tr -d '\n' | tr -c '[:print:]' ' ' | cut -c 1-300)
  # What a tool says may repeat what a sensitive step has written: the guard's own words come before it.
  if [ -n "$SENSITIVE" ]; then
    w=${w%%: *}
    printf '%s\n' "$w" >"$P/out"
  fi
  { printf '== guard, at operation %s\n' "$1"; cat "$P/out"; } >>"$R/log"
  tail -c 8000 "$P/out" >"$R/failed" 2>/dev/null
  journal "F $1 1 guard"
  [ -z "$GUARD" ] || put_back "$GUARD" "$w"
  finish failed
}
# confirmed NUMBER LAST-OPERATION SECONDS: waits for the new login that confirms, or for
# the timer; for one that somebody has stopped no longer than it had.
confirmed() {
  in_guard live || guard_failed "$2"
  GUARD=
  g=$R/guard/$1
  read -r u i </proc/uptime
  end=$((${u%.*} + $3 + 10))
  i=0
  while [ ! -e "$g/confirmed" ] && [ ! -e "$g/reverted" ]; do
    # A guard that nothing will ever end is none.
    [ -e "$g/armed" ] || [ -e "$g/reverting" ] || [ -e "$g/confirmed" ] || [ -e "$g/reverted" ] || {
      echo "the files of the guard in $g were removed: nothing puts the change back" >"$P/out"
      guard_failed "$2"
    }
    read -r u _ </proc/uptime
    # A chroot may have no /proc.
    [ -z "$u" ] || [ "${u%.*}" -lt "$end" ] || sh "$g/program" revert "no new login within $3 seconds" runner >/dev/null 2>&1 </dev/null 9>&-
    # A login comes within seconds, or late if at all.
    i=$((i + 1))
    if [ "$i" -lt 150 ]; then sleep 0.02; else sleep 0.2; fi
  done
  [ -e "$g/confirmed" ] || reverted "$1"
  # Whoever confirmed may have been cut off before the timer and the unit were gone.
  i=0
  while [ -e "$g/kept" ] && [ "$i" -lt 50 ]; do i=$((i + 1)); sleep 0.02; done
  [ ! -e "$g/kept" ] || { sh "$g/program" confirm >/dev/null 2>&1 </dev/null 9>&-; rm -rf -- "$g/kept"; }
  journal "D $1"
}
put_back() {
  in_guard revert "$2" runner
  rm -rf -- "$R/guard/$1/kept"
  # Where the guard could not be armed, or its first operation failed, no change was made and undone.
  [ -z "$MADE" ] || [ ! -e "$R/guard/$1/reverted" ] || reverted "$1"
}
reverted() {
  journal "V $1 $(cat "$R/guard/$1/why" 2>/dev/null)"
  finish reverted
}
# Where systemd does not run, nothing runs that could hold the old configuration.
# What is pending names the boot that it belongs to: the next one ends it. A command
# that follows a change is pending in every boot.
note_pending() {
  b=
  case $1 in run:*) ;; *) [ -d /run/systemd/system ] || return 0; b=$(cat /proc/sys/kernel/random/boot_id);; esac
  # What another boot has left is no longer pending.
  if [ ! -e "$PENDING/$1" ] || [ "$(cat "$PENDING/$1")" != "$b" ]; then printf '%s\n' "$1" >>"$P/newly-pending"; fi
  mkdir -p "$PENDING" && printf '%s' "$b" >"$PENDING/$1"
}
clear_pending() { rm -f -- "$PENDING/$1"; }

# put PAYLOAD PATH OWNER GROUP MODE [VALIDATION-PAYLOAD]
put() {
  t=${2%/*}/.stockade-$ID-$1
  trap 'rm -rf -- "$t"' EXIT
  [ -d "$2" ] && [ ! -L "$2" ] && { echo "$2 is a directory"; exit 1; }
  n=$t k=$2
  { [ -f "$2" ] && [ ! -L "$2" ]; } || k=$REMOVED$2
  if [ -f "$k" ] && [ ! -L "$k" ]; then
    # Where others may write, the new file is made out of their reach.
    if ! is_roots "${2%/*}/"; then
      (umask 077; mkdir -- "$t")
      cd -P -- "$t" || exit 1
      [ -O . ] || { echo "$t was replaced by somebody else"; exit 1; }
      n=new
    fi
    (umask 077; set -C; : >"$n")
    keep_attributes "$k" "$n"
    chmod -- 600 "$n"
    cat <"$P/$1" >"$n"
    # Set-id bits come after the owner: chown(2) clears them.
    chown -- "$3:$4" "$n"
    chmod -- "$5" "$n"
  else case $5 in
    # Not every install(1) has that order. It leaves out what the directory's default
    # access control list would give beside the mode.
    [1-7]???) install -m 600 -- "$P/$1" "$t"; chown -- "$3:$4" "$t"; chmod -- "$5" "$t" ;;
    # It is nobody else's until its owner and mode are set.
    *) install -o "$3" -g "$4" -m "$5" -- "$P/$1" "$t" ;;
  esac; fi
  f=$n
  [ "$n" = "$t" ] || f=$t/$n
  if [ -n "$6" ]; then (cd / && run_text '' "$P/$6" "$f") || { r=$?; echo "the validation of the new $2 failed with exit code $r; the file was left as it was"; exit "$r"; }; fi
  sync -- "$n"
  replace "$n" "$2"
  cd /
  [ "$n" = "$t" ] || rmdir -- "$t"
  trap - EXIT
}
# is_roots DIRECTORY: nobody else can put another file in the place of one of root's.
is_roots() {
  case $(stat -L -c '%u %A' -- "$1") in '0 '?????-??-? | '0 '?????????[tT]) return 0;; esac
  return 1
}
# keep_attributes OLD NEW: a file that is replaced hands on its access control
# list and extended attributes. Capabilities go when the new content is written,
# as they do with every write to a program.
keep_attributes() {
  cp --attributes-only --preserve=mode,xattr -- "$1" "$2" 2>/dev/null || cp --attributes-only --preserve=mode -- "$1" "$2"
}
# keep_removed PATH...: the same of what this run takes away, for a run that brings it back.
keep_removed() { (umask 077; mkdir -p -- "$R/undo/attributes"; cp -a --attributes-only --parents -t "$R/undo/attributes" -- "$@") >/dev/null 2>&1 </dev/null 9>&-; }
# Where the run that is undone has kept them.
REMOVED=${UNDOES:+/var/lib/stockade/runs/$UNDOES/undo/attributes}
# replace NEW PATH: at once, by a rename. A file that is itself a mount point,
# such as /etc/hosts in a container, can only be written in its place.
replace() {
  e=$(mv -fT -- "$1" "$2" 2>&1) && return
  is_mounted "$2" || { printf '%s\n' "$e"; exit 1; }
  # A run that is cut off here has the old content put back when it is settled.
  k=$R/place
  rm -rf -- "$k"
  (umask 077; mkdir -- "$k"; cat <"$2" >"$k/old"; printf '%s' "$2" >"$k/path")
  sync -- "$k/old" "$k/path"
  : >"$k/begun"
  sync -- "$k"
  cat <"$1" >"$2" || { cat <"$k/old" >"$2"; exit 1; }
  chown --reference="$1" -- "$2"
  chmod --reference="$1" -- "$2"
  sync -- "$2"
  rm -rf -- "$k"
  rm -f -- "$1"
}
is_mounted() {
  while read -r i i i i m i; do [ "$(printf '%b' "$m")" != "$1" ] || return 0; done </proc/self/mountinfo
  return 1
}
# download PAYLOAD SHA256 PATH OWNER GROUP MODE
download() {
  command -v curl >/dev/null || { echo "curl is not installed on this host: add a package step for it before this one"; exit 1; }
  t=${3%/*}/.stockade-$ID-$1
  trap 'rm -f -- "$t"' EXIT
  install -m 600 -- /dev/null "$t"
  if [ -f "$3" ] && [ ! -L "$3" ] && is_roots "${3%/*}/"; then keep_attributes "$3" "$t"; chmod -- 600 "$t"; fi
  # curl's own messages may repeat the address with its signature. It is one address: brackets and braces are no pattern.
  curl -g -fsSL --retry 2 --connect-timeout 20 --proto '=http,https' --proto-redir '=http,https' -o "$t" -K "$P/$1" 2>/dev/null ||
    { echo "the download failed (curl's exit code $?)"; exit 1; }
  s=$(sha256sum <"$t"); s=${s%% *}
  [ "$s" = "$2" ] || { echo "the downloaded file has SHA-256 $s, wanted was $2"; exit 1; }
  chown -- "$4:$5" "$t"
  chmod -- "$6" "$t"
  sync -- "$t"
  replace "$t" "$3"
}
# note_capabilities PATH; give_capabilities: chown(2) takes the capabilities of programs
# away, at a path and below it, and nobody has asked for that (capabilities(7)).
note_capabilities() { ! command -v getcap >/dev/null || getcap -r "$1" >"$P/capabilities" 2>/dev/null || :; }
give_capabilities() {
  [ -s "$P/capabilities" ] || return 0
  while IFS= read -r l; do
    # Older versions write an equals sign between.
    f=${l%% cap_*}
    c=${l#"$f "}
    f=${f% =}
    [ -f "$f" ] && [ ! -L "$f" ] && [ -z "$(getcap "$f")" ] || continue
    # Where others may write, it may be another file by now.
    is_roots "${f%/*}/" && setcap -q "$c" "$f" || journal "W $f has lost its capabilities ($c), as with every change of its owner: set them again with setcap(8)"
  done <"$P/capabilities"
  rm -f -- "$P/capabilities"
}
# not_a_link PATH
not_a_link() { [ ! -L "$1" ] || { echo "$1 has become a symbolic link; nothing was done with it"; exit 1; }; }
# make_directory PATH OWNER GROUP MODE
make_directory() {
  [ -L "$1" ] && { echo "$1 is a symbolic link"; exit 1; }
  [ -d "${1%/*}/" ] || { echo "there is no directory ${1%/*}"; exit 1; }
  # A fifth digit clears a set-group-id bit that the directory above has passed on.
  install -d -o "$2" -g "$3" -m "0$4" -- "$1"
  if [ -n "$REMOVED" ] && [ -d "$REMOVED$1" ]; then
    tar --acls --xattrs --no-recursion -C "$REMOVED" -c -f - -- ".$1" | tar --acls --xattrs -p -x -f - -C / || :
  fi
}
# make_link PATH TARGET
make_link() {
  t=${1%/*}/.stockade-$ID-link
  trap 'rm -f -- "$t"' EXIT
  rm -f -- "$t"
  ln -s -- "$2" "$t"
  mv -fT -- "$t" "$1"
}
# What a package or a command of the run has made meanwhile is brought to what is
# wanted: for accounts, these functions decide what that takes.
# group_add NAME GID-OR-EMPTY OPTIONS...
group_add() {
  n=$1 g=$2
  shift 2
  if getent group "$n" >/dev/null; then [ -z "$g" ] || groupmod --gid "$g" -- "$n"; return; fi
  [ -z "$g" ] || set -- --gid "$g" "$@"
  groupadd "$@" -- "$n"
}
group_remove() { ! getent group "$1" >/dev/null || groupdel -- "$1"; }
# user_add NAME PRIMARY-GROUP GROUPS HOME SHELL DEFAULTS OPTIONS...: empty where it
# is not given; the options are those that useradd and usermod share, and --system.
# DEFAULTS names which of home and shell are defaults for a new account: one that a
# package or command has made meanwhile keeps its own, and its primary group.
user_add() {
  n=$1 g=$2 m=$3 h=$4 s=$5 d=$6
  shift 6
  if getent passwd "$n" >/dev/null; then
    [ "$1" != --system ] || shift
    case $d in *home*) h=;; esac
    case $d in *shell*) s=;; esac
    [ -z "$m" ] || set -- --append --groups "$m" "$@"
    [ -z "$h" ] || set -- --home "$h" "$@"
    [ -z "$s" ] || set -- --shell "$s" "$@"
    [ $# = 0 ] || { user_is_out "$n"; usermod "$@" -- "$n"; }
    if [ -n "$h" ] && [ ! -e "$h" ]; then
      cp -RT /etc/skel "$h"
      chown -R -- "$n:" "$h"
      chmod -- 0750 "$h"
    fi
    return
  fi
  [ -z "$s" ] || set -- --shell "$s" "$@"
  [ -z "$m" ] || set -- --groups "$m" "$@"
  if [ -n "$h" ]; then set -- --create-home --home-dir "$h" "$@"; else set -- --no-create-home "$@"; fi
  if [ -n "$g" ]; then set -- --no-user-group --gid "$g" "$@"
  elif getent group "$n" >/dev/null; then set -- --no-user-group --gid "$n" "$@"
  else set -- --user-group "$@"; fi
  useradd "$@" -- "$n"
  [ -z "$h" ] || chmod -- 0750 "$h"
}
# user_remove NAME OPTIONS...
user_remove() {
  n=$1
  shift
  getent passwd "$n" >/dev/null || return 0
  user_is_out "$n"
  userdel "$@" -- "$n"
}
# leave_group USER GROUP
leave_group() { case ,$(getent group "$2" | cut -d : -f 4), in *",$1,"*) gpasswd --delete "$1" "$2";; esac; }
# user_is_out NAME: after the last session logind keeps a user's processes for
# some seconds (UserStopDelaySec=10), and usermod and userdel refuse meanwhile.
user_is_out() {
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    [ "$(loginctl show-user --property State --value -- "$1" 2>/dev/null)" = closing ] || return 0
    sleep 1
  done
}
set_password_hash() { chpasswd -e <"$P/$1"; }

apt_waits() {
  if [ -d /run/cloud-init ] && [ ! -e /run/cloud-init/result.json ] && command -v cloud-init >/dev/null; then
    timeout 600 cloud-init status --wait || :
  fi
}
# A name is a name: without Pattern-Only one that no package has, such as "python3.9", is taken for an expression.
apt_run() {
  apt-get -q -y -o DPkg::Lock::Timeout=600 -o APT::Update::Error-Mode=any -o Dpkg::Use-Pty=0 -o APT::Get::AutomaticRemove=false \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o APT::Cmd::Pattern-Only=true "$@"
}
# note_packages; same_packages: whether dpkg has done nothing since. It writes
# this file anew with all that it does.
dpkg_state() { stat -c '%i %y' /var/lib/dpkg/status; ls /var/lib/dpkg/updates; }
note_packages() { dpkg_state >"$P/dpkg"; }
same_packages() { [ "$(dpkg_state)" = "$(cat "$P/dpkg")" ]; }
# apt_said FILE BYTE PATTERN: apt has written such a line from there on.
apt_said() { tail -c "+$(($2 + 1))" -- "$1" | grep -q -e "$3"; }
# apt waits for dpkg's lock, but neither for that of the lists nor for that of the fetched packages.
LOCKED='Could not get lock /var/\(lib/apt/lists\|cache/apt/archives\)/lock'
GONE=' 404 \|File not found\|Hash Sum mismatch\|File has unexpected size'
# apt_fetch VERB ...: it is tried once more where the lists name files that
# their repository has replaced meanwhile.
apt_fetch() {
  t=0 again= o=$P/out
  # Of a sensitive step nothing is kept: then its words go to a file of their own.
  [ ! -c /proc/self/fd/1 ] || o=$P/fetched
  while :; do
    r=0
    if [ "$o" = "$P/out" ]; then
      b=$(stat -c %s -- "$o")
      apt_run "$@" || r=$?
    else
      b=0
      apt_run "$@" >"$o" 2>&1 || r=$?
    fi
    [ "$r" != 0 ] || return 0
    if [ "$t" -lt 600 ] && apt_said "$o" "$b" "$LOCKED"; then
      t=$((t + 1))
      sleep 1
    elif [ -z "$again" ] && apt_said "$o" "$b" "^E: Failed to fetch .*\($GONE\)"; then
      again=1
      apt_refresh || return
      journal "W the repositories have other packages than the lists named: the lists were updated, and versions may be newer than the plan says"
    else
      return "$r"
    fi
  done
}
# What apt writes of its marks while it simulates goes to a copy.
apt_simulates() {
  cat /var/lib/apt/extended_states >"$P/marks" 2>/dev/null || :
  apt_run -s -o Dir::State::extended_states="$P/marks" "$@"
}
# apt_reads ARGUMENT ... >$P/update: the lists, once nobody else reads them.
apt_reads() {
  t=0
  while :; do
    if apt_run "$@"; then return; else r=$?; fi
    grep -q -e "$LOCKED" "$P/update" && [ "$t" -lt 600 ] || return "$r"
    t=$((t + 1))
    sleep 1
    : >"$P/update"
  done
}
# The age of the lists is that of their directory, which apt leaves as it is when nothing is new.
# A repository that cannot be read does not stop what comes from others: it is named.
apt_refresh() {
  if apt_reads update >"$P/update" 2>&1; then cat "$P/update"; touch /var/lib/apt/lists; return; else r=$?; fi
  cat "$P/update"
  grep -q -e '^Hit:' -e '^Get:' "$P/update" && apt_knows_packages || return "$r"
  touch /var/lib/apt/lists
  sed -n -e 's/^E: \(The repository .*\)/\1/p' -e 's/^[EW]: \(Failed to fetch .*\)/\1/p' -e 's/^[EW]: \(GPG error: .*\)/\1/p' "$P/update" |
    sort -u | while IFS= read -r l; do journal "W the package lists were updated, but not all: $l"; done
}
# apt_update [SOURCES-FILE]
# shellcheck disable=SC2120 # operations of a plan pass it
apt_update() {
  note_packages
  apt_waits
  if [ -z "$1" ]; then apt_refresh; return; fi
  apt_has_lists "$1" || apt_refresh
  # What this run itself needs must be read, whatever is wrong with others.
  if apt_reads -o Dir::Etc::sourcelist="$1" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 update >"$P/update" 2>&1; then
    cat "$P/update"
  else
    r=$?
    cat "$P/update"
    return "$r"
  fi
}
apt_knows_packages() {
  for l in /var/lib/apt/lists/*_Packages*; do [ ! -e "$l" ] || return 0; done
  return 1
}
apt_has_lists() { apt_knows_packages && apt_has_read_sources "$1" && [ -z "$(find /var/lib/apt/lists -maxdepth 0 -mmin +1440)" ]; }
# apt_has_read_sources EXCEPT: none has changed since the lists were updated (as in
# facts.sh), but for one that is about to be read, and that changed its directory.
apt_has_read_sources() {
  for l in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    case $l in "$1") continue;; /etc/apt/sources.list.d) [ -z "$1" ] || continue;; esac
    if [ "$l" -nt /var/lib/apt/lists ] && { [ ! -e /var/lib/apt/lists/partial ] || [ "$l" -nt /var/lib/apt/lists/partial ]; }; then return 1; fi
  done
}
# only_named VERB ...: what depends on a package goes with it, so apt itself is
# asked; nothing goes that the playbook does not name.
only_named() {
  s=$(apt_simulates "$@" 2>&1) || { r=$?; printf '%s\n' "$s"; exit "$r"; }
  a=$(dpkg --print-architecture)
  o=
  for n in $(printf '%s\n' "$s" | sed -n -e 's/^Remv \([^ ]*\).*/\1/p' -e 's/^Purg \([^ ]*\).*/\1/p'); do
    for m in $SPARED; do
      [ "$n" != "$m" ] || { echo "apt would remove $n, which you log in with; nothing was removed"; exit 1; }
    done
    f=$ANY
    for m in $MAY_GO; do
      case $m in *:all | *:native | *":$a") m=${m%:*};; esac
      [ "$n" != "$m" ] || f=1
    done
    [ -n "$f" ] || o="$o $n"
  done
  [ -z "$o" ] || { echo "apt would also remove$o, which the playbook does not name; nothing was removed. Put it in 'may_remove' of the step if that is wanted"; exit 1; }
}
# What an interrupted dpkg has left is brought to its end, once nobody else is at it.
dpkg_heals() {
  [ -n "$(dpkg --audit 2>/dev/null)$(ls /var/lib/dpkg/updates 2>/dev/null)" ] || return 0
  n=0
  until o=$(dpkg --force-confdef --force-confold --configure -a 2>&1); do
    n=$((n + 1))
    # What is wrong besides, apt says better.
    case $o in *lock*) [ "$n" -le 600 ] || break; sleep 1;; *) break;; esac
  done
  printf '%s\n' "$o"
  # What was cut short while it was unpacked can only be unpacked anew.
  m=$(dpkg-query -W -f '${db:Status-Eflag} ${Package}\n' | sed -n 's/^reinstreq //p')
  [ -z "$m" ] || apt_run install --reinstall --no-remove -- $m || :
}
# apt_get VERB ...
ANY= FILES= PROVIDED=
apt_get() {
  if [ -n "$PROVIDED" ]; then
    n=$#
    while [ "$n" -gt 0 ]; do
      w=$1
      shift
      n=$((n - 1))
      case " $PROVIDED " in *" $w "*) ;; *) set -- "$@" "$w";; esac
    done
  fi
  [ -e "$P/dpkg" ] || note_packages
  apt_waits
  dpkg_heals
  case $1 in install | upgrade | dist-upgrade)
    apt_has_lists || apt_refresh
    # To ask what goes takes as long as a small install: first it is tried with nothing going.
    case "$* " in
    *[!-]"- "*) ;;
    *)
      apt_fetch --no-remove "$@" $FILES && return
      r=$?
      ! apt_simulates --no-remove "$@" $FILES >/dev/null 2>&1 || exit "$r" ;;
    esac ;;
  esac
  only_named "$@" $FILES
  apt_fetch "$@" $FILES
}
# apt_clean autoremove ...: what goes is what no other package needs.
apt_clean() {
  ANY=1
  apt_get "$@"
}
# apt_again install ... NAME=VERSION: in another version where that one is no longer offered.
apt_again() {
  note_packages
  apt_waits
  apt_has_lists || apt_refresh
  n=$#
  while [ "$n" -gt 0 ]; do
    w=$1
    shift
    n=$((n - 1))
    case $w in
    -*) ;;
    *=*)
      [ -n "$(apt-cache show -- "$w" 2>/dev/null)" ] || {
        echo "$w is no longer offered"
        w=${w%%=*}
        # What is there in another version stays as it is.
        case $(dpkg-query -W -f '${db:Status-Status}' -- "$w" 2>/dev/null) in installed*) continue;; esac
      } ;;
    esac
    set -- "$@" "$w"
  done
  apt_get "$@"
}
# unless_provided NAME: where no package has the name, one that is there and provides it is enough.
unless_provided() {
  note_packages
  apt_has_lists || apt_refresh
  [ -z "$(apt-cache show -- "$1" 2>/dev/null)" ] || return 0
  ! dpkg-query -W -f '${db:Status-Status} ${Provides}\n' | WANT=$1 awk '
    $1 == "installed" { for (i = 2; i <= NF; i++) { sub(/,$/, "", $i); if ($i == ENVIRON["WANT"]) found = 1 } }
    END { exit !found }' || PROVIDED="$PROVIDED $1"
}
# apt_file PAYLOAD NAME VERSION: a package that the operator sent.
apt_file() {
  mv -- "$P/$1" "$P/$1.deb"
  f=$(dpkg-deb -W --showformat='${Package} ${Version}' "$P/$1.deb")
  [ "$f" = "$2 $3" ] || { echo "the file that was sent is of the package and version '$f', not '$2 $3'"; exit 1; }
  FILES="$FILES $P/$1.deb"
}
debconf_answers() {
  command -v debconf-set-selections >/dev/null || { echo "debconf is not installed on this host"; exit 1; }
  debconf-set-selections "$P/$1"
}
# candidate_from PACKAGE PART-OF-ADDRESS
candidate_from() {
  note_packages
  apt_has_lists || apt_update
  apt-cache policy -- "$1" | WANT=$2 awk '
    # By whole parts of the address: docker.com is none of docker.com.example.org.
    function is_from(line, want,   at, i, end) {
      while (i = index(substr(line, at + 1), want)) {
        at += i
        end = substr(line, at + length(want), 1)
        if (index(" /.@", substr(line, at - 1, 1)) && (end == "" || index(" /:", end) || want ~ /\/$/)) return 1
      }
    }
    BEGIN { want = ENVIRON["WANT"] }
    $1 == "Candidate:" { candidate = $2 }
    /^ (\*\*\*|   ) [^ ]/ { current = ($1 == "***") ? $2 : $1; next }
    /^        / && current == candidate && is_from($0, want) { found = 1 }
    END { exit !found }' && return 0
  echo "the candidate of package $1 does not come from $2; apt-cache policy says:"
  apt-cache policy -- "$1"
  exit 1
}

daemon_reload() { [ ! -d /run/systemd/system ] || systemctl daemon-reload; }
# unit_verb VERB UNIT
unit_verb() {
  # Most packages enable their units; to do it again costs a reload of systemd.
  if [ "$1" = enable ] && [ "$(systemctl is-enabled -- "$2" 2>/dev/null)" = enabled ]; then return; fi
  if [ ! -d /run/systemd/system ]; then case $1 in
    enable|disable|mask|unmask) systemctl "$1" -- "$2"; return;;
    *) echo "systemd is not running here: $2 was not told to $1"; return;; esac; fi
  # A unit that is not there is neither running nor enabled.
  case $1 in stop|disable) [ "$(systemctl show -p LoadState --value -- "$2")" != not-found ] || return 0;; esac
  s=$(systemctl show -p LoadState -p ActiveState -p SubState -p CanReload -p NeedDaemonReload -- "$2") v=$1 down=
  # Whoever has changed its files, as a command or a package does, need not have told systemd.
  case $1:$s in
  start:*NeedDaemonReload=yes* | restart:*NeedDaemonReload=yes* | reload:*NeedDaemonReload=yes*)
    systemctl daemon-reload
    s=$(systemctl show -p LoadState -p ActiveState -p SubState -p CanReload -- "$2") ;;
  esac
  case $s in *ActiveState=inactive* | *ActiveState=failed* | *SubState=auto-restart*) down=1;; esac
  case $1:$s in
  *LoadState=not-found*) ;;
  reload:*)
    # What does not run reads its files when it is started: there is nothing to reload.
    if [ -n "$down" ]; then
      echo "$2 does not run: there is nothing to reload"
      clear_pending "reload:$2"
      return 0
    fi
    # One that cannot reload (no ExecReload=) takes up what is new by a restart. sshd does not
    # outlive a reload where its socket listens: the next connection starts it anew, and logins stay.
    case $2 in ssh.service | sshd.service) ! systemctl -q is-active ssh.socket || v=stop;; esac
    case $s in *CanReload=no*) echo "$2 cannot reload: it is restarted"; v=restart;; esac ;;
  esac
  # Attempts of earlier runs count to systemd's limit of starts (StartLimitBurst=).
  case $v in start | restart) systemctl -q reset-failed -- "$2" 2>/dev/null || : ;; esac
  # A start of what runs does nothing.
  case $v:$2 in
  restart:*.socket) socket_verb restart "$2";;
  start:*.socket) if [ -n "$down" ]; then socket_verb start "$2"; fi;;
  *) systemctl "$v" -- "$2";;
  esac && r=0 || r=$?
  if [ "$r" = 0 ]; then
    clear_pending "$1:$2"
    # What holds until the next boot only has links of its own.
    case $1 in disable | unmask)
      case $1:$(systemctl is-enabled -- "$2" 2>/dev/null) in
      disable:enabled-runtime | unmask:masked-runtime) systemctl "$1" --runtime -- "$2";;
      esac ;;
    esac
    # What was down has started with all that is there by now.
    case $v:$down in restart:* | start:1) clear_pending "restart:$2"; clear_pending "reload:$2";; esac
    return 0
  fi
  systemctl status --no-pager -l -n 20 -- "$2"
  exit "$r"
}
# pending VERB UNIT WHEN: the restart or reload of a unit that is due still. One
# that an earlier run has left (first) may need what comes in this run: where it
# fails, it stays due until the end.
pending() {
  [ -e "$PENDING/$1:$2" ] || { [ "$1" = restart ] && [ -e "$PENDING/reload:$2" ]; } || not_due
  # A unit that is gone meanwhile has nothing to take up.
  if [ "$(systemctl show -p LoadState --value -- "$2")" = not-found ]; then clear_pending "restart:$2"; clear_pending "reload:$2"; not_due; fi
  if [ "$3" = first ]; then
    (unit_verb "$1" "$2") || { printf '%s %s\n' "$1" "$2" >>"$P/again"; : >"$P/later"; exit 0; }
  else unit_verb "$1" "$2"; fi
}
# pending_again: what could not be done when the run began, if it is due still.
pending_again() {
  while read -r v u; do
    [ ! -e "$PENDING/$v:$u" ] || (unit_verb "$v" "$u") </dev/null || :
  done <"$P/again"
}
# reboot_host MESSAGE: the host goes down when this run has ended, which
# the lock shows, and when whoever follows it has read so, or does not listen.
reboot_host() {
  [ -d /run/systemd/system ] || { echo "systemd is not running here: this host cannot be rebooted"; exit 1; }
  # Not on the command line, where systemd would expand what looks like its variables.
  printf '%s' "$1" >"/run/stockade/$ID.message"
  systemd-run --quiet --collect --unit "stockade-reboot-$ID" /bin/sh -c 'exec 9>>/run/lock/stockade.lock
    flock 9
    i=0; until [ -e "/run/stockade/$1.told" ] || [ "$i" -ge 10 ]; do sleep 1; i=$((i + 1)); done
    systemctl reboot --message="$(cat "/run/stockade/$1.message")"' reboot "$ID"
  : >"$P/reboot"
}
# leave NUMBER: the run ends here; what is left is planned anew after the reboot.
leave() { journal "R $1 $(cat /proc/sys/kernel/random/boot_id)"; finish reboot; }
set_hostname() {
  if [ -d /run/systemd/system ] && hostnamectl set-hostname -- "$1" 2>/dev/null; then return; fi
  printf '%s\n' "$1" >/etc/hostname
  hostname -- "$1"
}
set_timezone() {
  [ -f "/usr/share/zoneinfo/$1" ] || { echo "this host knows no time zone $1 (is the package tzdata installed?)"; exit 1; }
  ln -sfn -- "/usr/share/zoneinfo/$1" /etc/localtime
  printf '%s\n' "$1" >/etc/timezone
}
# may_run USER-OR-EMPTY DIRECTORY-OR-EMPTY: whether a text of the operator's can be
# run at all; where it cannot, the operation has changed nothing.
may_run() {
  if [ -n "$1" ] && ! id -u -- "$1" >/dev/null 2>&1; then nothing_run "there is no user $1"; fi
  [ -z "$2" ] || if [ -z "$1" ]; then (cd -- "$2"); else runuser -u "$1" -- sh -c 'cd -- "$1"' sh "$2"; fi 2>/dev/null ||
    nothing_run "$2 is no directory that can be entered"
}
nothing_run() { : >"$P/untouched"; echo "$1; nothing was run"; exit 1; }
# run_payload PAYLOAD USER-OR-EMPTY
run_payload() {
  if [ -z "$2" ]; then run_text '' "$P/$1"; return; fi
  # The user may read this one file through the descriptor, not its folder.
  chown -- "$2" "$P/$1"
  chmod 0400 "$P/$1"
  run_text "$2" /dev/fd/8 8<"$P/$1"
}
not_due() { : >"$P/idle"; exit 0; }
# hand_on NOTED COMMAND...: what was noted before it was known which commands follow
# the change is pending for each of these.
hand_on() {
  h=$PENDING/$1
  shift
  [ -e "$h" ] || return 0
  for d; do : >"$PENDING/$d"; done
  rm -f -- "$h"
}
# if_due CREATES REMOVES UNLESS-PAYLOAD USER DEBT, each may be empty: ends the
# operation where its guard says that there is nothing to do.
if_due() {
  [ -z "$5" ] || [ -e "$PENDING/$5" ] || not_due
  if [ -n "$1" ] && { [ -e "$1" ] || [ -L "$1" ]; } || { [ -n "$2" ] && [ ! -e "$2" ] && [ ! -L "$2" ]; } ||
    { [ -n "$3" ] && run_payload "$3" "$4" >/dev/null 2>&1; }; then not_due; fi
}
# await_check PAYLOAD TRIES PAUSE
await_check() {
  n=0
  while :; do
    n=$((n + 1))
    sh "$P/$1" >"$P/check" 2>&1 && return 0
    r=$?
    [ "$n" -ge "$2" ] && break
    sleep "$3"
  done
  cat "$P/check"
  w="the check fails"
  [ "$n" = 1 ] || w="the check still fails after $n tries"
  # An output tells more.
  [ -s "$P/check" ] || w="$w with exit code $r"
  echo "$w"
  exit 1
}
