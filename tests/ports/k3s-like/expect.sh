systemctl is-active node-server.service
systemctl is-enabled node-server.service
curl -fsS http://127.0.0.1:6443/ | grep -q node.example.net
[ "$(readlink -f /usr/local/bin/nodectl)" = /usr/local/bin/node-server ]
[ "$(stat -c %a /var/lib/node/server/token)" = 600 ]
[ "$(systemctl show -p LimitNOFILE --value node-server.service)" = 1048576 ]
