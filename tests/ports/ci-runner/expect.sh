systemctl is-active runner@1.service runner@2.service
systemctl is-enabled runner@2.service
[ "$(stat -c %U /var/lib/runner/tmp/executor-2 /var/lib/runner/registered | tr '\n' ' ')" = "runner runner " ]
[ "$(readlink /usr/local/bin/runner)" = /opt/runner/current/run ]
