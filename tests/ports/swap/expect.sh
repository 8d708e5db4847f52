[ "$(stat -c '%a %s' /swapfile)" = "600 33554432" ]
[ "$(blkid -o value -s TYPE /swapfile)" = swap ]
findmnt --verify --tab-file /etc/fstab >/dev/null || findmnt -s -n -o TARGET /srv/scratch | grep -qx /srv/scratch
swapon --show --noheadings || :
[ "$(grep -c swapfile /etc/fstab)" = 1 ]
systemctl is-enabled srv-data.mount
[ "$(stat -c %a /var/tmp/jobs)" = 1777 ]
/lib/systemd/systemd-sysctl --cat-config | grep -qE '^vm.swappiness *= *10'
