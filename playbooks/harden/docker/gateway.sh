#!/bin/sh
# The token gateway: its keys and the sandbox of its unit.
LC_ALL=C
export LC_ALL
unit=stockade-gateway.service
state=$(systemctl show -p LoadState --value "$unit" 2>&1) || { printf '%s\n' "$state"; exit 3; }
[ "$state" = loaded ] || { echo 'there is no token gateway here'; exit 77; }
found=$(find /etc/stockade-gateway \( -path '*/keys/*' -o -name '*.key' \) -type f \( -perm /077 -o ! -user stockade-gateway \) -printf '%p is %u:%g %m, not stockade-gateway 600\n' 2>&1) ||
  { printf '%s\n' "$found"; exit 3; }
report=$(systemd-analyze security --no-pager "$unit" 2>&1) || { printf '%s\n' "$report" | tail -n 1; exit 3; }
level=$(printf '%s\n' "$report" | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p')
[ -n "$level" ] || { echo 'systemd-analyze security gives no level'; exit 3; }
if ! awk -v level="$level" 'BEGIN { exit !(level + 0 <= 2.0) }'; then
  found="${found}${found:+
}$unit has an exposure of $level, more than 2.0"
fi
[ -n "$found" ] || { echo "its keys are closed, its exposure is $level"; exit 0; }
printf '%s\n' "$found" | head -n 40
exit 1
