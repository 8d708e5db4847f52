curl -fsS http://127.0.0.1:9100/metrics | grep -q '^node_load1 '
for _ in $(seq 60); do curl -fsS http://127.0.0.1:9100/metrics | grep -q '^logins_total ' && break; sleep 1; done
curl -fsS http://127.0.0.1:9100/metrics | grep -q '^logins_total '
[ "$(systemctl show -p Restart --value prometheus-node-exporter.service)" = always ]
ufw status | grep -qE '^9100/tcp +ALLOW +192.0.2.0/24'
