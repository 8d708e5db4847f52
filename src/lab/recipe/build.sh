#!/bin/sh
# Runs once inside `docker build`: turns a root tree into a lab host's image.
#   build.sh SOURCE DRESS PACKAGE...
#     SOURCE  tree   a debootstrapped tree that has the packages already
#             image  a container image that still lacks them
#     DRESS   ubuntu make it look like an Ubuntu 24.04 cloud image; none: leave it
set -eu
recipe=$(dirname "$0")
source=$1 dress=$2
shift 2

# What container images and debootstrap leave behind to keep services from
# starting and apt from keeping files; a real host has none of it.
rm -f /usr/sbin/policy-rc.d /etc/apt/apt.conf.d/docker-* \
  /etc/dpkg/dpkg.cfg.d/docker-* /etc/dpkg/dpkg.cfg.d/excludes

if [ "$source" = image ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install -y --no-install-recommends "$@"
  rm -f /usr/sbin/policy-rc.d
fi

if [ "$dress" = ubuntu ]; then
  sh "$recipe/dress-ubuntu.sh"
fi

# The unit that does at every start what a container engine leaves undone.
install -D -m 0755 "$recipe/boot.sh" /usr/local/lib/stockade-lab/boot
install -D -m 0755 "$recipe/init.sh" /usr/local/lib/stockade-lab/init
install -D -m 0644 "$recipe/stockade-lab-boot.service" /etc/systemd/system/stockade-lab-boot.service
systemctl enable stockade-lab-boot.service
# /proc/sys is read-only in the lab, /proc/sys/net is not: without this
# systemd-sysctl would be skipped and persisted net.* values lost at a restart.
install -D -m 0644 "$recipe/sysctl.conf" /etc/systemd/system/systemd-sysctl.service.d/10-stockade-lab.conf

# Units that need hardware, a console or a kernel of their own.
for unit in console-getty.service getty-static.service getty@tty1.service \
  systemd-networkd-wait-online.service systemd-udevd.service \
  systemd-udevd-control.socket systemd-udevd-kernel.socket \
  systemd-udev-trigger.service systemd-pstore.service e2scrub_reap.service \
  dev-hugepages.mount sys-fs-fuse-connections.mount sys-kernel-config.mount \
  sys-kernel-debug.mount sys-kernel-tracing.mount; do
  ln -sf /dev/null "/etc/systemd/system/$unit"
done
# Generators for disks, a console and a kernel's command line, none of which a container
# has: systemd runs all of them at every start and every daemon-reload.
mkdir -p /etc/systemd/system-generators
for generator in bless-boot cryptsetup debug factory-reset getty gpt-auto hibernate-resume \
  import integritysetup run ssh system-update tpm2 veritysetup; do
  generator=systemd-$generator-generator
  [ ! -e "/usr/lib/systemd/system-generators/$generator" ] || ln -sf /dev/null "/etc/systemd/system-generators/$generator"
done
# They would take the apt lock at a random moment of a host's short life.
for timer in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer; do
  systemctl disable "$timer" >/dev/null 2>&1 || true
done

# Every host makes its own identity at its first start.
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
find /var/lib/apt/lists -mindepth 1 -delete
rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin
rm -rf /tmp/* /var/tmp/* "$recipe"
