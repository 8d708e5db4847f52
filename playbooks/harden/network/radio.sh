#!/bin/sh
# Wireless interfaces and Bluetooth.
LC_ALL=C
export LC_ALL
bad=
for wireless in /sys/class/net/*/wireless /sys/class/net/*/phy80211; do
  [ -e "$wireless" ] || continue
  interface=${wireless%/*}
  bad="${bad}wireless interface ${interface##*/}
"
done
if [ "$(systemctl is-active bluetooth.service 2>/dev/null)" = active ]; then
  bad="${bad}bluetooth.service runs
"
fi
[ -n "$bad" ] || { echo 'no radio'; exit 0; }
bad=$(printf '%s' "$bad" | sort -u)
printf '%s\n' "$bad" | sed -n '1s/^/radio is on: /p'
printf '%s\n' "$bad"
exit 1
