# A guard: what a guarded phase may change is kept before it, and put back
# unless a new login confirms the change. Set before this text: ID (the run), N
# (the guard), T (seconds until the host reverts by itself); after it come the
# functions `each_kept`, `each_there`, `each_gone` and `each_unit`.
#   sh program save | check | live | confirm | revert WHY | boot
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C HOME=/root
export PATH LC_ALL HOME
umask 022
cd /
R=/var/lib/stockade/runs/$ID
P=/run/stockade/$ID
G=$R/guard/$N
K=$G/kept
TIMER=stockade-guard-$ID-$N
# Where systemd runs, a unit of this name reverts at boot what was not confirmed.
BOOT=/etc/systemd/system/$TIMER.service
WANTED=/etc/systemd/system/sysinit.target.wants/$TIMER.service

is_systemd() { [ -d /run/systemd/system ]; }
is_dir() { [ -d "$1" ] && [ ! -L "$1" ]; }
# alike FROM TO: of directories, with access control list and extended attributes.
alike() {
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
  if is_dir "$2" && [ "$3" = whole ]; then TREE=1; mkdir -- "$K/$1"; copy_tree "$2" "$K/$1"; alike "$2" "$K/$1"
  elif is_dir "$2"; then mkdir -- "$K/$1"; alike "$2" "$K/$1"
  elif [ -e "$2" ] || [ -L "$2" ]; then cp -a -- "$2" "$K/$1"
  else : >"$K/$1.absent"; fi
}
# there NUMBER PATH: puts back what was there.
there() {
  [ ! -e "$K/$1.absent" ] || return 0
  [ -e "$K/$1" ] || [ -L "$K/$1" ] || return 0
  if is_dir "$K/$1"; then
    is_dir "$2" || { rm -f -- "$2"; mkdir -- "$2"; }
    copy_tree "$K/$1" "$2"
    alike "$K/$1" "$2"
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
# gone NUMBER PATH WHOLE: removes what was not there; a directory with all that
# is in it only where the phase made it as a home.
gone() {
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
# start UNIT: a socket does not listen while its service runs without it.
start() {
  forget_starts "$1"
  systemctl start -- "$1" && return
  case $1 in *.socket) systemctl stop -- "$(systemctl show -p Triggers --value -- "$1")"; systemctl start -- "$1";; esac
}
# unit NUMBER UNIT AGAIN: a unit that was told something in the phase is told again.
unit() {
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
    if ! systemctl -q is-active -- "$2"; then start "$2"
    elif [ "$3" = again ]; then forget_starts "$2"; systemctl reload-or-restart -- "$2"; fi ;;
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
# metas_back NUMBER: gives them back to what is still there.
metas_back() {
  [ ! -s "$K/$1" ] || xargs -0 -n 300 sh -c 'while [ $# -ge 3 ]; do
    if [ -e "$3" ] || [ -L "$3" ]; then
      [ "$(stat -c "%u:%g %a" -- "$3")" = "$1 $2" ] || { chown -h -- "$1" "$3"; [ -L "$3" ] || chmod -- "0000$2" "$3"; }
    fi
    shift 3
  done' metas <"$K/$1"
}
keep_hostname() { cat /proc/sys/kernel/hostname >"$K/hostname"; }
keep_sysctl() { [ ! -e "$2" ] || cat <"$2" >"$K/$1"; }
sysctl_back() { [ ! -s "$K/$1" ] || cat <"$K/$1" >"$2"; }

# What listens for sshd, where systemd does.
socket() { ! is_systemd || systemctl show -p ActiveState -p NeedDaemonReload -p Listen ssh.socket; }
addresses() { printf '%s\n' "$1" | sed -n 's/^Listen=//p'; }
# listens_as_before STATE: systemd need not read anew what Ubuntu's generator makes
# of sshd's ports for the socket: neither they nor the socket's own files are new.
listens_as_before() {
  case $1 in *NeedDaemonReload=no*) l=$(sshd_listens) && [ "$l" = "$(cat "$G/sshd")" ] ;; *) false ;; esac
}
# listeners PROCESS: the sockets on which it listens, one a line.
listeners() {
  f=$(readlink "/proc/$1/fd/"* 2>/dev/null)
  grep -h ' 0A ' /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r n l r state q t e u o inode rest; do
    case $f in *"socket:[$inode]"*) echo "$inode";; esac
  done
}
words() { W=$#; }
# sshd_is_new PROCESS LISTENERS [UNIT]: waits until a reloaded sshd listens anew. It
# begins as at its start, and ends or lacks an address if a connection of that very
# moment still holds one.
sshd_is_new() {
  [ -n "$2" ] || return 0
  i=0
  while n=$(listeners "$1"); [ -z "$n" ] || [ "$n" = "$2" ]; do
    i=$((i + 1))
    case $i in
    250) echo "it has not begun to listen anew"; return 1 ;;
    # It hears none while it begins.
    50 | 100 | 150 | 200) kill -HUP "$1" ;;
    esac
    kill -0 "$1" 2>/dev/null || break
    sleep 0.02
  done
  words $2; w=$W
  words $n
  [ "$W" -lt "$w" ] || return 0
  # Nothing listens any longer, or not everywhere; logins that are open stay.
  if [ -n "$3" ] || [ -z "$n" ]; then start_sshd "$3"; else kill -HUP "$1"; fi
}
# start_sshd UNIT-OR-EMPTY: tried again while what kept it from listening is still there.
start_sshd() {
  i=0
  until
    if [ -n "$1" ]; then forget_starts; a=$(systemctl restart "$1" 2>&1)
    else a=$("$(command -v sshd)" 2>&1); fi
  do
    i=$((i + 1))
    [ "$i" -lt 25 ] || { printf '%s\n' "$a"; return 1; }
    sleep 0.2
  done
}
# has_ended PROCESS: within half a second.
has_ended() {
  i=0
  while kill -0 "$1" 2>/dev/null; do
    i=$((i + 1))
    [ "$i" -lt 25 ] || return 1
    sleep 0.02
  done
}
# sshd takes up its configuration: ports are the socket's where it listens for sshd.
sshd_takes_up() {
  if ! is_systemd; then
    [ -s /run/sshd.pid ] || return 0
    p=$(cat /run/sshd.pid) w=$(listeners "$p")
    kill -HUP "$p" && sshd_is_new "$p" "$w"
    return
  fi
  # What systemd does not answer is no reason to leave sshd as it is.
  forget_starts
  [ -z "$SSHD_UNIT$SSH_SOCKET" ] || systemctl daemon-reload
  o=$(socket) || { echo "systemctl does not tell the state of ssh.socket"; return 1; }
  case $o in *ActiveState=active*)
    listens_as_before "$o" || systemctl daemon-reload
    l=$(addresses "$(socket)")
    if [ -n "$SSH_SOCKET" ] || [ "$(addresses "$o")" != "$l" ] || [ "$l" != "$(addresses "$(cat "$G/socket")")" ]; then
      # A socket does not listen anew while its service runs without it.
      systemctl restart ssh.socket || { systemctl stop ssh.service; systemctl start ssh.socket; } || return
      socket >"$G/socket"
    fi ;;
  esac
  for u in ssh.service sshd.service; do
    s=$(systemctl show -p LoadState -p ActiveState -p MainPID "$u") || { echo "systemctl does not tell the state of $u"; return 1; }
    case $s in *LoadState=loaded*) ;; *) continue;; esac
    case $s in *ActiveState=active*)
      p=${s##*MainPID=} p=${p%%[!0-9]*}
      case $o in
      # It would not outlive a reload; the next connection starts it anew. Logins stay.
      *ActiveState=active*) systemctl stop "$u" || return ;;
      # A reload also fails where sshd ends by it: then it is started.
      *) if [ -n "$SSHD_UNIT" ]; then start_sshd "$u" || return
        else w=$(listeners "$p"); { systemctl reload "$u" || has_ended "$p"; } && sshd_is_new "$p" "$w" "$u" || return; fi ;;
      esac ;;
    esac
    break
  done
  rm -f -- /var/lib/stockade/owed/reload:ssh.service /var/lib/stockade/owed/reload:sshd.service
}
# sshd_is_there: a revert ends only when sshd can be reached, if a unit of it ran
# when the guard was armed. What a phase has left failed is started again.
sshd_is_there() {
  is_systemd && [ -e "$K/listened" ] || return 0
  i=0
  while [ "$i" -lt 25 ]; do
    if systemctl -q is-active ssh.socket; then return; fi
    for u in ssh.service sshd.service; do
      p=$(systemctl show -p MainPID --value "$u")
      if [ "${p:-0}" != 0 ] && [ -n "$(listeners "$p")" ]; then return; fi
    done
    forget_starts
    [ "$((i % 5))" != 0 ] || for u in $(cat "$K/listened"); do systemctl -q is-active "$u" || systemctl start "$u"; done
    i=$((i + 1))
    sleep 0.2
  done
  echo "sshd does not listen although its units were started again"
}
# A service that stops takes this directory with it, at any moment.
ask_sshd() {
  i=0
  while :; do
    [ -d /run/sshd ] || mkdir -p /run/sshd
    a=$(sshd "$@" 2>&1); r=$?
    i=$((i + 1))
    case $i:$a in 25:*) break;; *"privilege separation directory"*) sleep 0.02;; *) break;; esac
  done
  [ -z "$a" ] || printf '%s\n' "$a"
  return "$r"
}
# Where sshd would listen by its own configuration.
sshd_listens() { ask_sshd -T 2>/dev/null | grep -E '^(port|listenaddress|addressfamily) '; }
# sshd_ports SOCKET LISTENS: the ports on which sshd can be reached, by what listens for it.
sshd_ports() {
  case $1 in
  *ActiveState=active*) addresses "$1" | sed -n 's/^.*[:]\([0-9][0-9]*\) (Stream)$/\1/p' ;;
  *) printf '%s\n' "$2" | sed -n 's/^port //p' ;;
  esac | sort -un | tr '\n' , | sed 's/^$/,/'
}
ports_now() {
  [ -n "$SSHD" ] || { cat "$G/ports"; return; }
  o=$(socket)
  case $o in *ActiveState=active*) sshd_ports "$o";; *) sshd_ports "$o" "$(sshd_listens)";; esac
}
# Whether a unit that starts sshd is enabled.
boots_sshd() { [ -n "$(systemctl is-enabled ssh.socket ssh.service sshd.service 2>/dev/null | grep -x enabled)" ]; }
# The merged configuration is refused before it is live, not only its new file.
check() {
  # With -q visudo says nothing of an owner or a mode that it refuses.
  if [ -n "$SUDO" ]; then
    o=$(visudo -c 2>&1) || {
      # What it has said of other files before is not for this change to mend.
      o=$(printf '%s\n' "$o" | grep -v ': parsed OK$' | grep -vxF -f "$K/visudo")
      [ -z "$o" ] || { echo "visudo refuses the merged configuration of sudo: $o"; return 1; }
    }
  fi
  if [ -n "$NFT" ]; then o=$(nft -c -f /etc/nftables.conf 2>&1) || { echo "nft refuses /etc/nftables.conf: $o"; return 1; }; fi
  if [ -n "$NETPLAN" ] && command -v netplan >/dev/null; then
    # Beside the host's own /run, where nothing is live; with what is kept, it goes in any case.
    rm -rf -- "$K/netplan"
    mkdir -p "$K/netplan/etc" "$K/netplan/run"
    [ ! -e /etc/netplan ] || cp -a /etc/netplan "$K/netplan/etc/"
    o=$(netplan generate --root-dir "$K/netplan" 2>&1) || { echo "netplan refuses its merged configuration: $o"; return 1; }
  fi
  if [ -n "$SSHD" ] && command -v sshd >/dev/null; then
    o=$(ask_sshd -t) || { echo "sshd refuses its merged configuration: $o"; return 1; }
  fi
}
# Whether the program of sshd can be run; what it says of its configuration is asked elsewhere.
sshd_starts() {
  sshd -t >/dev/null 2>&1
  case $? in 126 | 127) return 1;; esac
}
# A login proves what is live; what is enabled decides about the next boot.
lasts() {
  [ ! -e "$K/starts" ] || sshd_starts || { echo "sshd cannot be started any more: its program or a library of it is not as it was"; return 1; }
  [ ! -e "$K/boots" ] || boots_sshd || { echo "neither ssh.socket nor ssh.service is enabled any more: no sshd would start at the next boot"; return 1; }
}
# reaches_a_command USER: whether the user's login shell comes to its first command
# after all that it reads before. What other shells do with these options is not known.
reaches_a_command() {
  e=$(getent passwd -- "$1") || return 1
  g=$(printf '%s' "$e" | cut -d : -f 4) h=$(printf '%s' "$e" | cut -d : -f 6) s=${e##*:}
  case ${s##*/} in sh | bash | dash | zsh | ksh | mksh | fish) ;; *) return 1;; esac
  # No pipe: what a shell leaves behind may hold it open for longer.
  (cd "$h" 2>/dev/null || :; timeout -k 1 10 setsid -w setpriv --reuid "$1" --regid "$g" --init-groups --reset-env -- \
    "$s" -l -i -c 'echo reached-"a"-command' >"$K/reached" 2>/dev/null </dev/null) || :
  grep -q reached-a-command "$K/reached"
}
# The login that confirms runs one command, and so reads less than the operator's next one.
shells() { [ -z "$LOGIN" ] || printf '%s\n' "$LOGIN" root | sort -u; }
keep_shells() { for u in $(shells); do ! reaches_a_command "$u" || : >"$K/$u.shell"; done; }
still_reach() {
  for u in $(shells); do
    [ ! -e "$K/$u.shell" ] || reaches_a_command "$u" ||
      { echo "no new login would come to a command: the login shell of $u ends before its first one, by what it reads, such as /etc/profile"; return 1; }
  done
}
# Without systemd, as in a chroot, there is no network of the host's own.
network_takes_up() {
  is_systemd || return 0
  if [ -n "$NETPLAN" ] && command -v netplan >/dev/null; then netplan apply || return; fi
  if [ -n "$NETWORKD" ] && systemctl -q is-active systemd-networkd.service; then networkctl reload; fi
}
# What is confirmed is what is live, whether the playbook says reload or not.
take_up() {
  if [ -n "$NFT" ] && is_systemd && systemctl -q is-active nftables.service; then
    o=$(systemctl reload nftables.service 2>&1) || { echo "nftables.service did not take up its rules: $o"; return 1; }
  fi
  # Rules in a file are the next boot's, or the next reload's.
  if [ -n "$RULES" ] && grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf; then
    o=$(ufw reload 2>&1) || { echo "ufw did not take up its rules: $o"; return 1; }
  fi
  o=$(network_takes_up 2>&1) || { echo "the network did not take up its configuration: $o"; return 1; }
  [ -z "$SSHD" ] || o=$(sshd_takes_up 2>&1) || { echo "sshd did not take up its configuration: $o"; return 1; }
}

# What sshd wrote about logins since the guard was armed: the reason that it tells no client.
sshd_said() {
  command -v journalctl >/dev/null || return 0
  l=$(journalctl -q -o cat -t sshd -t sshd-session --since "@$(stat -c %Y "$G/reverting")" 2>/dev/null |
    grep -E 'not allowed|refused|bad ownership|[Ff]ailed|error|fatal|denied|Unsupported' | tail -n 1 | cut -c 1-200 | tr -c '[:print:]' ' ')
  [ -z "$l" ] || printf '; sshd on the host said: %s' "$l"
}
# login_limit PORTS: of rules that let in only so many new connections to these
# ports, the tightest, as the number that is too many and within how many seconds.
login_limit() {
  { iptables-save; ip6tables-save; nft list ruleset; } 2>/dev/null | awk -v ports="$1" '
    BEGIN { n = split(ports, p, ","); for (i = 1; i <= n; i++) if (p[i] != "") is_ours[p[i]] = 1; if ("22" in is_ours) is_ours["ssh"] = 1
      split("second 1 sec 1 s 1 minute 60 min 60 m 60 hour 3600 h 3600 day 86400 d 86400", u, " ")
      for (i = 1; i < 16; i += 2) unit[u[i]] = u[i + 1] }
    / LOG / || / log / { next }
    {
      ours = hits = seconds = 0
      for (i = 1; i < NF; i++) {
        if ($i ~ /^(--)?dports?$/) for (j = i + 1; j <= NF && $j ~ /^([0-9{},]|ssh)+$/; j++) {
          n = split($j, p, /[{},]/)
          for (k = 1; k <= n; k++) if (p[k] in is_ours) ours = 1
        }
        if ($i == "--hitcount") hits = $(i + 1)
        if ($i == "--seconds") seconds = $(i + 1)
        if ($i ~ /^(--limit|--hashlimit-upto|--hashlimit-above|rate|over)$/ && split($(i + 1), r, "/") == 2 && r[2] in unit) { hits = r[1] + 1; seconds = unit[r[2]] }
      }
      if (ours && hits > 1 && seconds > 0 && seconds / hits > pace) { pace = seconds / hits; found = hits " " seconds }
    }
    END { if (pace) print found }'
}
# make_room: waits until a new login is within what the firewall lets in; those
# of everybody count, and room is left for a second attempt and for the plan that
# somebody makes next. A limit by the hour is not waited for.
make_room() {
  is_systemd && command -v journalctl >/dev/null || return 0
  # shellcheck disable=SC2046 # two words, or none
  set -- $(login_limit "$(cat "$G/ports")")
  [ -n "$2" ] || return 0
  i=0
  while [ "$i" -le "$2" ] && [ "$i" -lt 120 ] && [ "$(journalctl -q -o cat -t sshd -t sshd-session --since "-$2s" 2>/dev/null | grep -c '^Accepted ')" -ge "$(($1 > 4 ? $1 - 3 : 1))" ]; do
    [ "$i" != 0 ] || printf 'P %s %s %s\n' "$N" "$1" "$2" >>"$R/journal"
    i=$((i + 1))
    sleep 1
  done
}
# Each for itself: what packages have written on this file system need not wait for it.
sync_kept() {
  if [ -n "$TREE" ]; then sync -f "$G"; else find "$G" '(' -type f -o -type d ')' -exec sync -- {} +; fi
}
arm() {
  : >"$G/lock" && : >"$G/log" && sync_kept && : >"$G/armed" || return
  if is_systemd && command -v systemd-run >/dev/null; then
    mkdir -p "${WANTED%/*}"
    printf '%s\n' '[Unit]' 'Description=Reverts a change of access that no login has confirmed' 'DefaultDependencies=no' \
      'After=local-fs.target' 'RequiresMountsFor=/var/lib/stockade' \
      'Before=sysinit.target network-pre.target systemd-networkd.service networking.service NetworkManager.service' \
      'Before=ufw.service nftables.service ssh.socket ssh.service' \
      '[Service]' 'Type=oneshot' "ExecStart=/bin/sh $G/program boot" >"$BOOT"
    ln -sf "$BOOT" "$WANTED"
    sync -- "$BOOT" "${BOOT%/*}" "${WANTED%/*}"
    # What is killed while it puts things back begins again.
    systemd-run --quiet --collect --unit "$TIMER-timer" --on-active="$T" --timer-property=AccuracySec=100ms \
      --property=Restart=on-failure --property=StartLimitIntervalSec=0 /bin/sh "$G/program" revert "no new login within $T seconds"
  else
    setsid sh -c 'sleep "$1"; exec sh "$2" revert "no new login within $1 seconds"' - "$T" "$G/program" \
      </dev/null >/dev/null 2>&1 9>&- &
    echo "$!" >"$G/sleeper"
  fi
}
# The change is made: the time until it must be confirmed begins anew.
rearm() { [ -s "$G/sleeper" ] || systemctl restart "$TIMER-timer.timer"; }
# disarm: fails if something of the guard is still there.
disarm() {
  d=0
  rm -f -- "$WANTED" "$BOOT" || d=1
  if [ -s "$G/sleeper" ]; then s=$(cat "$G/sleeper"); [ "$s" = $$ ] || kill -- "-$s" 2>/dev/null || :
  elif [ "$MODE" != boot ] && is_systemd; then
    systemctl stop "$TIMER-timer.timer" 2>/dev/null || ! systemctl -q is-active "$TIMER-timer.timer" || d=1
  fi
  return "$d"
}

runner() {
  if [ -s "$P/pid" ]; then p=$(cat "$P/pid"); else p=$(systemctl show -p MainPID --value "stockade-run-$ID" 2>/dev/null); fi
  [ "${p:-0}" != 0 ] && kill -0 "$p" 2>/dev/null
}
put_back() {
  if [ -n "$UFW" ] && [ ! -e "$K/ufw" ] && [ "$MODE" != boot ]; then ufw --force disable || :; fi
  each_there
  each_gone
  # What the phase restarted itself is told apart by nothing: the socket is restarted.
  echo Listen=again >"$G/socket"
  ! is_systemd || systemctl daemon-reload
  each_unit
  [ "$MODE" != boot ] || return 0
  if [ -n "$UFW" ] && [ -e "$K/ufw" ]; then
    # What enabled it anew loads all chains; a reload does so where it stayed on.
    ufw --force enable; ufw reload
  fi
  if [ -n "$NFT" ] && is_systemd && systemctl -q is-active nftables.service; then systemctl reload nftables.service; fi
  network_takes_up
  [ -z "$SSHD" ] || { sshd_takes_up; sshd_is_there; }
  # A container may be named by the call alone: its /proc/sys cannot be written.
  [ ! -e "$K/hostname" ] || hostname -F "$K/hostname" 2>/dev/null || cat "$K/hostname" >/proc/sys/kernel/hostname 2>/dev/null || :
}
back() {
  # What fails on the way must not keep the rest from being put back, nor must
  # a disk on which nothing can be written any more.
  l=$G/log
  [ -w "$l" ] || l=/dev/null
  put_back >>"$l" 2>&1 8>&-
  printf '%s\n' "$1" >"$G/why"
  sync -f "$G"
  disarm
  mv -T -- "$G/reverting" "$G/reverted"
  rm -rf -- "$K"
  # A runner that is there tells so; one that was there a moment ago has told.
  runner || { grep -q "^V $N " "$R/journal" || printf 'V %s %s\n' "$N" "$1" >>"$R/journal"; sh "$R/settle" reverted 8>&-; }
}

MODE=$1
case $MODE in
save)
  set -e
  TREE=
  mkdir -- "$K"
  each_kept
  if [ -n "$UFW" ] && grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf; then : >"$K/ufw"; fi
  if [ -n "$SSHD" ] && is_systemd && boots_sshd; then : >"$K/boots"; fi
  if [ -n "$SSHD" ] && is_systemd; then
    case $(systemctl is-active ssh.socket) in active) u=ssh.socket;; *) u=ssh.service;; esac
    systemctl -q is-active "$u" && echo "$u" >"$K/listened" || :
  fi
  # A running sshd may go on without the program that it was started from.
  if sshd_starts; then : >"$K/starts"; fi
  keep_shells
  [ -z "$SUDO" ] || visudo -c >"$K/visudo" 2>&1 || :
  o=$(socket)
  printf '%s\n' "$o" >"$G/socket"
  l=
  case $SSHD:$o in :*ActiveState=active*) ;; *) l=$(sshd_listens) || :;; esac
  printf '%s\n' "$l" >"$G/sshd"
  sshd_ports "$o" "$l" >"$G/ports"
  make_room
  arm
  ;;
check) check ;;
live)
  check && lasts && still_reach && take_up || exit 1
  rearm
  : >"$G/waiting"
  w=$(cat "$G/ports") n=$(ports_now)
  printf 'C %s %s %s %s %s\n' "$N" "$T" "$w" "$n" "$(login_limit "$n$w")" >>"$R/journal"
  ;;
confirm)
  if mv -T -- "$G/armed" "$G/confirmed" 2>/dev/null || [ -e "$G/confirmed" ]; then
    # Again where somebody was cut off in the middle of it, or where it failed:
    # what is kept goes last.
    disarm
    # What is told to be confirmed must be so after a power cut, too.
    sync -- "$G"
    [ "$d" != 0 ] || rm -rf -- "$K"
    exit 0
  fi
  echo "the host has put the change back already: $(cat "$G/why" 2>/dev/null)"
  exit 1
  ;;
revert)
  # One at a time, and to its end: whoever was killed at it is followed by the next.
  [ -e "$G/lock" ] || exit 0
  exec 8<"$G/lock"
  flock 8
  mv -T -- "$G/armed" "$G/reverting" 2>/dev/null || [ -e "$G/reverting" ] || [ -e "$G/armed" ] || exit 0
  # Nothing may go on changing what is being put back.
  w=$2
  if [ ! -e "$G/waiting" ] && [ "$3" != runner ] && runner; then
    w="the change itself took longer than the $T seconds that it has (--guard-timeout)"
    if is_systemd; then systemctl kill --kill-who=all -s KILL "stockade-run-$ID" 2>/dev/null
    else kill -KILL -- "-$p" 2>/dev/null; fi
    while runner; do sleep 0.1; done
  fi
  back "$w$(sshd_said)"
  ;;
boot)
  [ -e "$G/armed" ] || [ -e "$G/reverting" ] || { disarm; exit 0; }
  exec 8<"$G/lock"
  flock 8
  : >"$G/reverting"
  rm -f -- "$G/armed"
  back "the host was restarted before a new login confirmed the change"
  ;;
esac
