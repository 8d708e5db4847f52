#!/bin/sh
# The first process of a lab host. On a cgroup v2 machine the container has a
# cgroup namespace of its own, which the engine mounts read-only; systemd needs
# to write to it. On cgroup v1 the tree comes in writable and nothing is done.
if [ -f /sys/fs/cgroup/cgroup.controllers ] && [ ! -w /sys/fs/cgroup ]; then
  mount -o remount,bind,rw /sys/fs/cgroup || mount -o remount,rw /sys/fs/cgroup
fi
# systemd 256 and 257 start on cgroup v1 only when the kernel's command line, for
# which a container has the first process's, says so.
if [ ! -f /sys/fs/cgroup/cgroup.controllers ]; then
  exec /sbin/init SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
fi
exec /sbin/init
