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
accepted=$(for path; do printf 'A %s\n' "$path"; done)

# A mount is walked already where the same part of its device, or one above it, is. A
# subvolume of btrfs is a device of its own to find(1), which -xdev keeps it out of.
mounts=$(awk '
  { for (at = 7; at <= NF && $at != "-"; at++); type = $(at + 1); root = $4; path = $5 }
  path == "/dev/shm" { print path; next }
  type !~ /^(ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs|tmpfs|devtmpfs|overlay|bcachefs|nilfs2|virtiofs|9p)$/ { next }
  path ~ /^\/(proc|sys|snap|run\/(user|lock|credentials|docker|containerd|snapd)|var\/lib\/(docker|containerd|containers|kubelet|lxd|incus|snapd))(\/|$)/ { next }
  {
    for (i = 1; i <= count; i++)
      if (device[i] == $3 && (part[i] == root || type != "btrfs" && index(root "/", part[i] == "/" ? "/" : part[i] "/") == 1)) next
    device[++count] = $3; part[count] = root; print path
  }' /proc/self/mountinfo) || fail "/proc/self/mountinfo cannot be read"
[ -n "$mounts" ] || fail "no local file system is mounted"
# Names with blanks are written \040 there: find(1) takes them from a list.
set --
IFS='
'
for mount in $mounts; do set -- "$@" "$(printf '%b' "$mount")"; done
unset IFS

known='at bsd-write bwrap chage chfn chsh crontab dbus-daemon-launch-helper dotlockfile dumpcap exim4 expiry extrausers_chkpwd
 fusermount fusermount3 gpasswd ksu lockfile mail-lock mail-touchlock mail-unlock mlocate mount mount.cifs mount.ecryptfs_private mount.nfs
 netreport newgidmap newgrp newuidmap ntfs-3g pam_extrausers_chkpwd passwd ping ping6 pkexec plocate polkit-agent-helper-1
 postdrop postqueue pppd procmail screen sg snap-confine ssh-agent ssh-keysign su sudo sudoedit traceroute6.iputils umount unix_chkpwd
 usernetctl utempter wall write write.ul Xorg.wrap camel-lock-helper-1.2 sudo-rs su-rs doas pt_chown locate'
merged=no
[ ! -L /bin ] || merged=yes

# Nothing is written to the disk: what find(1) says of faults comes as the last line,
# after all that it has found. Snaps that hold containers are left out as these are.
walk() {
  said=$({
    timeout 50 find "$@" -xdev \
      \( -path /proc -o -path /sys -o -path /var/lib/docker -o -path /var/lib/containerd -o -path /var/lib/containers \
      -o -path /var/lib/kubelet -o -path /var/lib/lxd -o -path /var/lib/incus -o -path /var/snap/docker -o -path /var/snap/lxd \
      -o -path /var/snap/microk8s -o -path /run/docker -o -path /run/containerd \) -prune \
      -o \( -type f -perm -0002 -printf 'everybody can write\t%p\n' \
      -o -type d -perm -0002 ! -perm -1000 -printf 'everybody can write, without sticky bit\t%p\n' \) \
      , -type f -perm /6000 -printf 'suid\t%p\n' \
      , \( -nouser -o -nogroup \) ! -path '/proc/*' -printf 'belongs to nobody\t%p\n' 2>&1 >&3
    echo "ended $?"
    # What goes away while it is looked at is no fault.
  } | grep -v 'No such file or directory' | tail -n 3 | tr '\n' ' ')
  printf '\n%s\n' "$said" >&3
}
{
  printf '%s\n' "$accepted"
  cat /var/lib/dpkg/info/*.list 2>/dev/null
  echo --
  walk "$@" 3>&1
} | awk -F '\t' -v known="$known" -v merged="$merged" '
  BEGIN { count = split(known, words, /[ \n]+/); for (i = 1; i <= count; i++) usual[words[i]] = 1 }
  # Lists of packages name programs as they were before /usr was merged, too.
  function place(path) { if (merged == "yes" && path ~ /^\/(bin|sbin|lib)\//) return "/usr" path; return path }
  function base(path) { sub(/.*\//, "", path); return path }
  function judge(what, path) {
    if (what == "suid") {
      programs++
      if (base(path) in usual && place(path) in packaged) return
      what = "runs with the rights of its owner or group"
    }
    if (path in accepted) return
    found++
    if (found <= 40) text = text path ": " what "\n"
    if (found <= 3) short = short path " "
  }
  !listed && $0 == "--" { listed = 1; next }
  !listed { if (/^A /) accepted[substr($0, 3)] = 1; else if (base($0) in usual) packaged[place($0)] = 1; next }
  # Each line is judged when the next comes: the last one is of how the walk has ended.
  { if (before != "") { at = index(before, "\t"); judge(substr(before, 1, at - 1), substr(before, at + 1)) } before = $0 }
  END {
    if (before ~ /^ended 124 $/) { print "the file systems could not be walked within 50 s"; exit 2 }
    if (before !~ /^ended [01] $/) { print before == "" ? "the file systems could not be walked" : before; exit 2 }
    if (!found) { print programs + 0 " SUID and SGID programs, all of packages; nothing that everybody can write or that belongs to nobody"; exit 0 }
    print found " files are open to everybody, belong to nobody or give rights: " short
    printf "%s", text
    if (found > 40) print "and " found - 40 " more"
    exit 1
  }'
