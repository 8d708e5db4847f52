grep -qE '^PASS_MAX_DAYS[[:space:]]+365$' /etc/login.defs
grep -qE '^UMASK[[:space:]]+027$' /etc/login.defs
grep -q '^minlen = 14' /etc/security/pwquality.conf
[ "$(sysctl -n net.ipv4.conf.all.send_redirects)" = 0 ]
! modprobe -n -v sctp 2>/dev/null | grep -q insmod
[ "$(stat -c '%a %G' /etc/shadow)" = "640 shadow" ]
[ "$(stat -c %a /etc/cron.d /etc/ssh/sshd_config | tr '\n' ' ')" = "700 600 " ]
grep -c pam_wheel /etc/pam.d/su
grep -qE '^auth +required +pam_wheel.so group=sudo' /etc/pam.d/su
! find /usr/bin/chfn /usr/bin/chsh -perm /6000 | grep -q .
sshd -T | grep -qx 'maxsessions 4'
sshd -T | grep '^ciphers ' | grep -vq aes128-ctr
