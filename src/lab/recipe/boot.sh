#!/bin/sh
# Runs at every start, before sysinit.target: does what a machine has and a
# container lacks.
set -eu

# net.* can be set live. The rest of /proc/sys stays read-only, because it is
# the operator's own kernel.
if ! mountpoint -q /proc/sys/net; then
  mount --bind /proc/sys/net /proc/sys/net
  mount -o remount,bind,rw /proc/sys/net
fi

# The engine mounts these three as files, over which nothing can be renamed;
# an editor that writes a new file and renames it (Stockade does) would fail.
for name in hosts resolv.conf hostname; do
  path=/etc/$name
  mountpoint -q "$path" || continue
  cp "$path" "/run/stockade-lab-$name"
  umount "$path"
  # Addresses may change from start to start; a name that was set stays.
  if [ "$name" != hostname ] || [ ! -s "$path" ]; then
    cat "/run/stockade-lab-$name" >"$path"
  fi
  chmod 0644 "$path"
  rm -f "/run/stockade-lab-$name"
done
hostname -F /etc/hostname

while read -r type; do
  key=/etc/ssh/ssh_host_${type}_key
  [ -s "$key" ] || ssh-keygen -q -t "$type" -N '' -C "root@$(cat /etc/hostname)" -f "$key"
done </run/stockade-lab-host-keys
