#!/bin/sh
# The first process of a lab host: init TYPE...  The container has a cgroup namespace of its
# own, which the engine mounts read-only; systemd, and an engine inside, need
# to write to it. On cgroup v1 that is one mount a controller, on v2 one in all.
v1=
while read -r _ dir type options _; do
  case $type in
  cgroup | cgroup2)
    [ "$type" = cgroup ] && v1=yes
    case ",$options," in *,rw,*) continue ;; esac
    mount -o remount,bind,rw "$dir" || mount -o remount,rw "$dir"
    ;;
  esac
done </proc/mounts
# A container shares its kernel's boot id with all others. A machine has a new
# one at each start (systemd-nspawn does the same).
cat /proc/sys/kernel/random/uuid >/run/stockade-lab-boot-id
chmod 0444 /run/stockade-lab-boot-id
mount --bind /run/stockade-lab-boot-id /proc/sys/kernel/random/boot_id
rm -f /run/stockade-lab-boot-id
# The types of host keys that its first start makes (boot.sh).
printf '%s\n' "$@" >/run/stockade-lab-host-keys
# systemd 256 and 257 start on cgroup v1 only when the kernel's command line, for
# which a container has the first process's, says so.
if [ -n "$v1" ]; then
  exec /sbin/init SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
fi
exec /sbin/init
