# The benchmark's job as one writes it by hand, once, for a bare host: read by
# `sudo sh` on the host's standard input. Files come from the archive that
# measure.py puts in front of it (JOB holds the folder's files as base64 tar).
set -eu
dir=$(mktemp -d)
printf '%s' "$JOB" | base64 -d | tar -xzf - -C "$dir" --no-same-owner

groupadd operators
for user in op01 op02 op03 op04 op05 op06 op07 op08 op09 op10; do
  useradd --create-home --shell /bin/bash --groups operators "$user"
  install -d -o "$user" -g "$user" -m 0700 "/home/$user/.ssh"
  install -o "$user" -g "$user" -m 0600 "$dir/keys/$user.pub" "/home/$user/.ssh/authorized_keys"
done

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
apt-get -qq -y install beanstalkd memcached jq tree </dev/null >/dev/null

for app in app1 app2 app3 app4 app5 app6 app7 app8; do
  install -d -m 0750 "/etc/bench-$app"
  install -m 0640 "$dir/env/$app.env" "/etc/bench-$app/env"
done
install -D -m 0644 "$dir/files/limits.conf" /etc/systemd/system/beanstalkd.service.d/10-limits.conf
install -m 0644 "$dir/files/sshd.conf" /etc/ssh/sshd_config.d/00-bench.conf
install -m 0644 "$dir/files/sysctl.conf" /etc/sysctl.d/60-bench.conf

systemctl daemon-reload
systemctl -q enable --now beanstalkd.service memcached.service
systemctl restart beanstalkd.service systemd-sysctl.service
systemctl reload ssh.service
rm -rf "$dir"
