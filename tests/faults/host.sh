# Prepares a host for faults: programs that stand before the runner's, and a
# package source of its own.
for n in cat mv rm cp ln chmod chown mkdir rmdir touch sync tar head tail flock date perl sh stat sha256sum cmp find sed \
  getent useradd usermod userdel groupadd groupdel systemctl systemd-run sshd visudo mkfifo dpkg dpkg-deb; do
  ln -sf /usr/local/lib/fault-trap "/usr/local/sbin/$n"
done
umask 022
# sudo leaves a mark of its own at a user's first use.
touch /home/ubuntu/.sudo_as_admin_successful
mkdir -p /srv/repo /tmp/deb/DEBIAN /tmp/deb/opt/fault
printf '%s\n' 'Package: fault' 'Version: 1' 'Architecture: all' 'Maintainer: nobody <nobody@example.org>' \
  'Description: to be broken' >/tmp/deb/DEBIAN/control
for s in preinst postinst prerm postrm; do
  printf '#!/bin/sh\nset -e\ntouch /run/fault.%s\n' "$s" >/tmp/deb/DEBIAN/$s
  chmod 755 /tmp/deb/DEBIAN/$s
done
head -c 200000 /dev/zero >/tmp/deb/opt/fault/data
dpkg-deb -b --root-owner-group /tmp/deb /srv/repo/fault.deb >/dev/null
{
  cat /tmp/deb/DEBIAN/control
  echo 'Filename: ./fault.deb'
  echo "Size: $(stat -c %s /srv/repo/fault.deb)"
  echo "SHA256: $(sha256sum </srv/repo/fault.deb | cut -d' ' -f1)"
} >/srv/repo/Packages
rm -rf /tmp/deb
echo 'DPkg::Path "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";' >/etc/apt/apt.conf.d/99fault
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
rm -rf /var/lib/apt/lists/*
apt-get -qq update
