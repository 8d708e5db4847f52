# sshd: where it listens, whether its configuration is sound, how it takes it up.

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
# What sshd wrote about logins since the guard was armed: the reason that it tells no client.
sshd_said() {
  command -v journalctl >/dev/null || return 0
  l=$(journalctl -q -o cat -t sshd -t sshd-session --since "@$(stat -c %Y "$G/reverting")" 2>/dev/null |
    grep -E 'not allowed|refused|bad ownership|[Ff]ailed|error|fatal|denied|Unsupported' | tail -n 1 | cut -c 1-200 | tr -c '[:print:]' ' ')
  [ -z "$l" ] || printf '; sshd on the host said: %s' "$l"
}
