# What the host is. Prints key=value lines; few processes, no questions of its own.
f() { printf '%s=%s\n' "$1" "$2"; }
one() { v=; [ -r "$1" ] && IFS= read -r v <"$1"; printf '%s' "$v"; }
f hostname "$(one /proc/sys/kernel/hostname)"
f kernel "$(one /proc/sys/kernel/osrelease)"
f machine "$(uname -m)"
f arch "$(dpkg --print-architecture)"
f day "$(( $(date +%s) / 86400 ))"
f libc "$(getconf GNU_LIBC_VERSION)"
f cpus "$(getconf _NPROCESSORS_ONLN)"
f login_user "${SUDO_USER:-root}"
getent passwd "${SUDO_USER:-root}" | { IFS=: read -r n p i g c h s; f login_home "$h"; f login_shell "$s"; }
while IFS= read -r l; do case $l in
ID=*|ID_LIKE=*|VERSION_ID=*|VERSION_CODENAME=*|PRETTY_NAME=*) f "os.${l%%=*}" "${l#*=}";; esac; done </etc/os-release
while IFS=': ' read -r k v u; do [ "$k" = MemTotal ] && f memory_kib "$v" && break; done </proc/meminfo
if [ -d /run/systemd/system ]; then f init systemd
  systemctl is-active ssh.socket ssh.service sshd.service | { read -r a; read -r b; read -r c
  if [ "$a" = active ]; then f sshd.activation socket
  elif [ "$b" = active ] || [ "$c" = active ]; then f sshd.activation service
  else f sshd.activation none; fi; }
else f sshd.activation none
  # In a chroot, process 1 is that of the machine around it.
  if [ /proc/1/root -ef / ]; then f init "$(one /proc/1/comm)"; else f init ''; fi; fi
f sshd.version "$(ssh -V 2>&1)"
f virtualization "$(systemd-detect-virt)"
f localtime "$(readlink /etc/localtime)"
f timezone "$(one /etc/timezone)"
ip -o addr show scope global | while read -r n i fam a r; do f address "$a"; done
df -P -T -l -x tmpfs -x devtmpfs -x squashfs -x efivarfs | while read -r d t s u a p m; do
[ "$d" = Filesystem ] || { [ "$t" = overlay ] && [ "$m" != / ]; } || f disk "$s $a $t $d $m"; done
if [ -e /etc/cloud/cloud-init.disabled ]; then f cloud_init disabled
elif [ -e /run/cloud-init/result.json ]; then case $(cat /run/cloud-init/result.json) in *'"errors": []'*) f cloud_init "done";; *) f cloud_init error;; esac
elif [ -d /run/cloud-init ]; then f cloud_init running
elif [ -x /usr/bin/cloud-init ]; then f cloud_init disabled
else f cloud_init absent; fi
# Sources that have changed since apt has read them: the lists say nothing of what they offer. An update
# in which nothing is new leaves the directory of the lists as it is, but not that below it.
n=
for l in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
[ "$l" -nt /var/lib/apt/lists ] && { [ ! -e /var/lib/apt/lists/partial ] || [ "$l" -nt /var/lib/apt/lists/partial ]; } && n=1; done
for l in /var/lib/apt/lists/*_Packages* ; do
[ -z "$n" ] && [ -e "$l" ] && f apt.lists_age $(( $(date +%s) - $(stat -c %Y /var/lib/apt/lists) )); break; done
for l in /var/lib/dpkg/updates/[0-9]*; do [ -e "$l" ] && f apt.interrupted 1; break; done
[ -e /var/run/reboot-required ] && f apt.reboot_required 1
i=$(stat -c %i /var/lib/dpkg/lock-frontend)
while read -r n k m w p d s; do case $d in *:"${i:-none}") f apt.locked 1;; esac; done </proc/locks
# sudo clears the environment: the connection is in that of a process above us.
p=$PPID; n=0
while [ "$n" -lt 6 ] && [ "${p:-1}" -gt 1 ]; do
c=$(tr '\0' '\n' <"/proc/$p/environ" | grep '^SSH_CONNECTION=') && { f ssh_connection "${c#*=}"; break; }
IFS= read -r l <"/proc/$p/stat"; set -- ${l##*) }; p=$2; n=$((n+1)); done
# What is owed to a unit that is gone, or masked, is owed to nobody until it comes back.
for l in /var/lib/stockade/owed/*; do [ -e "$l" ] || continue
case $l in */restart:*|*/reload:*) case $(systemctl show -p LoadState --value -- "${l#*:}") in not-found|masked) continue;; esac;; esac
case $(one "$l") in ''|"$(one /proc/sys/kernel/random/boot_id)") f owed "${l##*/}";; esac; done
:
