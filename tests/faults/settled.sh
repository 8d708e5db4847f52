# What must hold when all is over: nothing half-made, waiting or held, the
# services run what is in the files, no secret where it does not belong.
# SECRETS: the new secrets, a line each. Prints what is wrong.
find /srv /etc /home /root /run/stockade -xdev -name '.stockade-*' 2>/dev/null
find /etc/systemd/system -name 'stockade-guard*' 2>/dev/null
# A run's unit ends a moment after its result is told.
units() { systemctl list-units --all --plain --no-legend 'stockade-run*' 'stockade-guard*' | grep -v ' inactive *dead '; }
i=0; while [ -n "$(units)" ] && [ "$i" -lt 200 ]; do i=$((i + 1)); sleep 0.1; done
units | sed 's/^/unit: /'
for d in /run/stockade/*; do [ ! -e "$d" ] || echo "left: $d"; done
# What was owed before the host was restarted is paid by that.
for d in /var/lib/stockade/owed/*; do
  [ ! -e "$d" ] || [ "$(cat "$d")" != "$(cat /proc/sys/kernel/random/boot_id)" ] || echo "owed: $d"
done
for r in /var/lib/stockade/runs/*/; do
  [ ! -d "$r" ] || [ -s "$r/result" ] || echo "without a result: $r"
  for k in "$r"guard/*/kept; do [ ! -e "$k" ] || echo "kept: $k"; done
done
flock -n /run/lock/stockade.lock true || echo 'the lock is held'
[ "$(cat /run/fault.started)" = "$V $V $V" ] || echo "fault.service runs $(cat /run/fault.started)"
printf '%s\n' "$SECRETS" | grep -rlFf - /var/lib/stockade /run/stockade /run/lock /var/log 2>/dev/null | sed 's/^/secret in /'
[ -z "$(journalctl -q --since "$SINCE" | grep -F s3cr3t)" ] || echo 'secret in the journal of systemd'
[ ! -e /run/fault.twice ] || { rm /run/fault.twice; echo 'two runs were at work at once'; }
mkdir -p /run/sshd
sshd -t || echo 'sshd refuses its configuration'
visudo -c -q || echo 'sudo refuses its configuration'
for j in /var/lib/stockade/runs/*/journal; do
  [ ! -e "$j" ] || [ -z "$(sort "$j" | uniq -d)" ] || echo "something was done twice: $j: $(tr '\n' ';' <"$j")"
done
[ -z "$(dpkg --audit)" ] || echo 'dpkg has work left'
exit 0
