# Sockets: systemd starts none whose service is active (systemd.socket(5)).
# service_beside SOCKET: the services that keep it from being started. One of
# Accept=yes has a service for each connection, and none of them does.
service_beside() {
  o=$(systemctl show -p Accept -p Triggers -- "$1")
  case $o in *Accept=yes*) return 0;; esac
  for t in $(printf '%s\n' "$o" | sed -n 's/^Triggers=//p'); do
    case $(systemctl show -p ActiveState --value -- "$t") in inactive | failed | '') ;; *) printf '%s\n' "$t";; esac
  done
}
# socket_verb start|restart SOCKET: its service is stopped for it, and started again
# whatever has come of the socket.
socket_verb() {
  b=$(service_beside "$2") q=0
  if [ -z "$b" ]; then systemctl "$1" -- "$2"; return; fi
  echo "$2: stopped for it and started again: $b"
  # shellcheck disable=SC2086 # names of units
  systemctl stop -- $b
  # Until the socket is closed, whoever connects starts the service anew.
  systemctl "$1" -- "$2" || { systemctl stop -- $b; systemctl start -- "$2"; } || q=$?
  systemctl -q reset-failed -- $b 2>/dev/null || :
  for t in $b; do
    if systemctl start -- "$t"; then rm -f -- "/var/lib/stockade/owed/restart:$t" "/var/lib/stockade/owed/reload:$t"
    else p=$?; [ "$q" != 0 ] || { q=$p; systemctl status --no-pager -l -n 20 -- "$t"; }; fi
  done
  return "$q"
}
