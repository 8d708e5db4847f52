# A guard: what a guarded phase may change is kept before it, and put back
# unless a new login confirms the change. Set before this text: ID (the run), N
# (the guard), T (seconds until the host reverts by itself); after it come the
# functions `keep_paths`, `restore_paths`, `remove_created_paths` and `restore_units`.
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
restore_all() {
  if [ -n "$UFW" ] && [ ! -e "$K/ufw" ] && [ "$MODE" != boot ]; then ufw --force disable || :; fi
  restore_paths
  remove_created_paths
  # What the phase restarted itself is told apart by nothing: the socket is restarted.
  echo Listen=again >"$G/socket"
  ! is_systemd || systemctl daemon-reload
  restore_units
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
revert() {
  # What fails on the way must not keep the rest from being put back, nor must
  # a disk on which nothing can be written any more.
  l=$G/log
  [ -w "$l" ] || l=/dev/null
  restore_all >>"$l" 2>&1 8>&-
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
  keep_paths
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
  revert "$w$(sshd_said)"
  ;;
boot)
  [ -e "$G/armed" ] || [ -e "$G/reverting" ] || { disarm; exit 0; }
  exec 8<"$G/lock"
  flock 8
  : >"$G/reverting"
  rm -f -- "$G/armed"
  revert "the host was restarted before a new login confirmed the change"
  ;;
esac
