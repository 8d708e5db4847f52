# The host's network and its firewall: how they take up their configuration, and
# how many logins they let in.

# Without systemd, as in a chroot, there is no network of the host's own.
network_takes_up() {
  is_systemd || return 0
  if [ -n "$NETPLAN" ] && command -v netplan >/dev/null; then netplan apply || return; fi
  if [ -n "$NETWORKD" ] && systemctl -q is-active systemd-networkd.service; then networkctl reload; fi
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
