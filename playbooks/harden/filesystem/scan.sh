#!/bin/sh
# One walk of the local file systems: files that everybody can write, directories
# that everybody can write without the sticky bit, files of nobody, and programs
# that run as their owner or group (SUID, SGID) and are not those of packages.
# What containers hold is left out: it is theirs.
#
#   scan.sh PATH…     programs and files that are accepted
set -u
export LC_ALL=C

fail() { echo "$1"; exit 2; }
[ -r /proc/self/mountinfo ] || fail "/proc/self/mountinfo cannot be read"
work=$(mktemp -d) || fail "there is no room for a temporary file"
trap 'rm -rf "$work"' EXIT
accepted=" $* "

# A mount is walked already where the same part of its device, or one above it, is. A
# subvolume of btrfs is a device of its own to find(1), which -xdev keeps it out of.
awk '
  { for (at = 7; at <= NF && $at != "-"; at++); type = $(at + 1); root = $4; path = $5 }
  path == "/dev/shm" { print path; next }
  type !~ /^(ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs|tmpfs|overlay|bcachefs|nilfs2|virtiofs|9p)$/ { next }
  path ~ /^\/(proc|sys|snap|dev|run\/(user|lock|credentials|docker|containerd|snapd)|var\/lib\/(docker|containerd|containers|kubelet|lxd|incus|snapd))(\/|$)/ { next }
  {
    for (i = 1; i <= count; i++)
      if (device[i] == $3 && (part[i] == root || type != "btrfs" && index(root "/", part[i] == "/" ? "/" : part[i] "/") == 1)) next
    device[++count] = $3; part[count] = root; print path
  }' /proc/self/mountinfo >"$work/mounts" || fail "/proc/self/mountinfo cannot be read"
[ -s "$work/mounts" ] || fail "no local file system is mounted"
# Names with blanks are written \040 there: find(1) takes them from a list.
set --
while IFS= read -r mount; do set -- "$@" "$(printf '%b' "$mount")"; done <"$work/mounts"

timeout 50 find "$@" -xdev \
  \( -path /proc -o -path /sys -o -path /snap -o -path /var/lib/docker -o -path /var/lib/containerd -o -path /var/lib/containers \
  -o -path /var/lib/kubelet -o -path /var/lib/lxd -o -path /var/lib/incus -o -path /var/snap -o -path /run/docker -o -path /run/containerd \) -prune \
  -o \( -type f -perm -0002 -printf 'everybody can write\t%p\n' \
  -o -type d -perm -0002 ! -perm -1000 -printf 'everybody can write, without sticky bit\t%p\n' \
  -o -type f -perm /6000 -printf 'suid\t%p\n' \) \
  , \( -nouser -o -nogroup \) ! -path '/proc/*' -printf 'belongs to nobody\t%p\n' >"$work/found" 2>"$work/errors"
code=$?
if [ "$code" = 124 ]; then fail "the file systems could not be walked within 50 s"; fi
# What goes away while it is looked at is no fault.
grep -v 'No such file or directory' "$work/errors" | head -n 3 >"$work/left"
[ ! -s "$work/left" ] || fail "$(cat "$work/left")"

# Programs of packages, as their lists name them, before /usr was merged too.
sed -n 's/^suid\t//p' "$work/found" | sort -u >"$work/suid"
if [ -s "$work/suid" ]; then
  sed 'p; s,^/usr/\(bin\|sbin\|lib\)/,/\1/,' "$work/suid" | sort -u >"$work/names"
  cat /var/lib/dpkg/info/*.list 2>/dev/null | grep -Fx -f "$work/names" | sed 's,^/\(bin\|sbin\|lib\)/,/usr/\1/,' | sort -u >"$work/packaged"
fi
known='at bsd-write bwrap chage chfn chsh crontab dbus-daemon-launch-helper dotlockfile dumpcap exim4 expiry extrausers_chkpwd
 fusermount fusermount3 gpasswd ksu lockfile mail-lock mail-touchlock mail-unlock mlocate mount mount.cifs mount.ecryptfs_private mount.nfs
 netreport newgidmap newgrp newuidmap ntfs-3g pam_extrausers_chkpwd passwd ping ping6 pkexec plocate polkit-agent-helper-1
 postdrop postqueue pppd procmail screen sg snap-confine ssh-agent ssh-keysign su sudo sudoedit traceroute6.iputils umount unix_chkpwd
 usernetctl utempter wall write write.ul Xorg.wrap camel-lock-helper-1.2 sudo-rs su-rs doas pt_chown locate'
known=" $(echo $known) "
while IFS= read -r path; do
  case $known in *" ${path##*/} "*) if grep -qFx -- "$path" "$work/packaged"; then continue; fi ;; esac
  printf 'runs with the rights of its owner or group\t%s\n' "$path"
done <"$work/suid" >"$work/programs"

grep -v '^suid' "$work/found" | sort -u | cat - "$work/programs" >"$work/all"
while IFS='	' read -r what path; do
  case $accepted in *" $path "*) ;; *) printf '%s: %s\n' "$path" "$what" ;; esac
done <"$work/all" >"$work/result"
count=$(grep -c . "$work/result")
[ "$count" != 0 ] || { echo "$(grep -c . "$work/suid") SUID and SGID programs, all of packages; nothing that everybody can write or that belongs to nobody"; exit 0; }
echo "$count files are open to everybody, belong to nobody or give rights: $(head -n 3 "$work/result" | cut -d: -f1 | tr '\n' ' ')"
head -n 40 "$work/result"
[ "$count" -le 40 ] || echo "and $((count - 40)) more"
exit 1
