# The state of every managed thing, a line each, as one word of it all: what
# must at any moment be the old state or the new one, whole.
# A file is opened once: another may take its name meanwhile.
f() { if [ -L "$1" ]; then readlink "$1"; elif [ -f "$1" ]; then { echo "$(stat -L -c '%F %a %U %G' /dev/fd/5) $(sha256sum <&5)"; } 5<"$1"; elif [ -e "$1" ]; then stat -c '%F %a %U %G' "$1"; else echo absent; fi; }
for p in /srv/fault /srv/fault/app.conf /srv/fault/current /srv/fault/edit.conf /srv/fault/env /srv/fault/last.conf \
  /srv/fault/stamp /etc/sudoers.d/fault /etc/ssh/sshd_config.d/00-fault.conf /etc/systemd/system/fault.service \
  /home/worker/.ssh/authorized_keys; do
  echo "$p: $(f "$p")"
done
echo "worker: $(getent passwd worker | cut -d: -f5-)"
echo "passing: $(getent passwd passing | cut -d: -f5-)"
