[ "$(hostname)" = app-01 ]
[ "$(readlink -f /etc/localtime)" = /usr/share/zoneinfo/Europe/Berlin ]
id -nG sammy | grep -qw sudo
sudo -l -U sammy | grep -q 'NOPASSWD: ALL'
[ "$(stat -c '%a %U' /home/sammy/.ssh /home/sammy/.ssh/authorized_keys | tr '\n' ' ')" = "700 sammy 600 sammy " ]
sshd -T | grep -qx 'permitrootlogin no'
sshd -T | grep -qx 'passwordauthentication no'
sshd -T | grep -qx 'x11forwarding no'
ufw status | grep -q '^22/tcp *LIMIT'
ufw status | grep -q '^443/tcp *ALLOW'
apt-config dump APT::Periodic::Unattended-Upgrade | grep -q '"1"'
apt-config dump Unattended-Upgrade::Remove-Unused-Dependencies | grep -q '"true"'
[ "$(getent hosts db.internal | cut -d' ' -f1)" = 192.0.2.20 ]
