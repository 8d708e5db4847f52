for want in 'passwordauthentication no' 'permitrootlogin no' 'usedns no' 'gssapiauthentication no' 'maxauthtries 4' 'clientaliveinterval 300' 'banner /etc/issue.net'; do
  sshd -T | grep -qx "$want" || { echo "sshd: $want"; exit 1; }
done
systemctl is-active fail2ban
fail2ban-client get sshd maxretry | grep -qx 5
visudo -c
passwd -S ops | grep -q '^ops L'
apt-config dump APT::Periodic::AutocleanInterval | grep -q '"7"'
