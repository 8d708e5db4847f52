#!/bin/sh
# Gives the tree what Stockade meets on an Ubuntu 24.04 cloud image. The apt
# sources stay those of the tree, so that apt goes on working.
set -eu

. /etc/os-release
if [ "$ID" != ubuntu ]; then
  # Diverted, so that an upgrade of base-files does not bring Debian's back.
  dpkg-divert --quiet --local --rename --add /usr/lib/os-release
  cat >/usr/lib/os-release <<'END'
PRETTY_NAME="Ubuntu 24.04.1 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION="24.04.1 LTS (Noble Numbat)"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=noble
LOGO=ubuntu-logo
END
  cat >/etc/lsb-release <<'END'
DISTRIB_ID=Ubuntu
DISTRIB_RELEASE=24.04
DISTRIB_CODENAME=noble
DISTRIB_DESCRIPTION="Ubuntu 24.04.1 LTS"
END
fi

# The default user as cloud-init makes it.
if ! getent passwd ubuntu >/dev/null; then
  useradd --uid 1000 --user-group --create-home --shell /bin/bash --comment Ubuntu ubuntu
fi
passwd --lock ubuntu >/dev/null
for group in adm cdrom dip plugdev lxd sudo; do
  if getent group "$group" >/dev/null; then usermod --append --groups "$group" ubuntu; fi
done
install -d -m 0750 /etc/sudoers.d
printf '# User rules for ubuntu\nubuntu ALL=(ALL) NOPASSWD:ALL\n' >/etc/sudoers.d/90-cloud-init-users
chmod 0440 /etc/sudoers.d/90-cloud-init-users
visudo -cq
[ -e /etc/default/locale ] || echo LANG=C.UTF-8 >/etc/default/locale
install -d -m 0755 /etc/ssh/sshd_config.d
printf 'PasswordAuthentication yes\n' >/etc/ssh/sshd_config.d/50-cloud-init.conf
chmod 0600 /etc/ssh/sshd_config.d/50-cloud-init.conf

# sshd by socket activation, as Ubuntu does since 22.10. Debian's sshd carries
# the same patch from 9.2p1 on: it takes the listening socket from systemd, by
# libsystemd's sd_listen_fds or by reading LISTEN_FDS itself. An older one
# keeps its service.
if grep -qE 'sd_listen_fds|LISTEN_FDS' /usr/sbin/sshd; then
  generator=/usr/lib/systemd/system-generators/sshd-socket-generator
  if [ ! -e "$generator" ]; then
    socket=/lib/systemd/system/ssh.socket
    dpkg-divert --quiet --local --rename --add "$socket"
    cat >"$socket" <<'END'
[Unit]
Description=OpenBSD Secure Shell server socket
Before=sockets.target ssh.service
ConditionPathExists=!/etc/ssh/sshd_not_to_be_run

[Socket]
ListenStream=0.0.0.0:22
ListenStream=[::]:22
BindIPv6Only=ipv6-only
Accept=no
FreeBind=yes

[Install]
WantedBy=sockets.target
RequiredBy=ssh.service
END
    install -D -m 0755 "$(dirname "$0")/sshd-socket-generator.sh" "$generator"
  fi
  systemctl disable ssh.service
  systemctl enable ssh.socket
fi
