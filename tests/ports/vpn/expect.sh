[ "$(wg pubkey </etc/wireguard/private.key)" = "$(cat /etc/wireguard/public.key)" ]
[ "$(stat -c %a /etc/wireguard/private.key /etc/wireguard/wg0.conf | tr '\n' ' ')" = "600 600 " ]
[ "$(grep -c '^\[Peer\]' /etc/wireguard/wg0.conf)" = 2 ]
[ "$(sysctl -n net.ipv4.ip_forward)" = 1 ]
systemctl is-enabled wg-quick@wg0.service
ufw status | grep -q '^51820/udp'
iptables -t nat -S POSTROUTING | grep -q '10.8.0.0/24'
