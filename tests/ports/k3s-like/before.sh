# A program that is ready when it says so, as a real node's server is.
mkdir -p /root/site
cat >/root/site/node <<'X'
#!/bin/sh
[ "$(cat "$NODE_TOKEN_FILE")" ] || exit 1
mkdir -p /run/node && cp "$3" /run/node/index.html
python3 -m http.server 6443 --bind 127.0.0.1 --directory /run/node &
child=$!
# KillMode=process: what is not ended here outlives a restart and keeps the port.
trap 'kill "$child"' TERM
until curl -s -o /dev/null http://127.0.0.1:6443/; do :; done
systemd-notify --ready
wait
X
systemd-run --quiet --unit=site python3 -m http.server 8099 --bind 127.0.0.1 --directory /root/site
echo "node_sha256=$(sha256sum </root/site/node | cut -d' ' -f1)"
