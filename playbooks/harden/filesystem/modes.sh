#!/bin/sh
# Judges owner, group and mode of the files of accounts and of cron and at: no more
# than what is listed, which may be stricter.
#
#   modes.sh accounts | cron
set -u
export LC_ALL=C

fail() { echo "$1"; exit 2; }
case ${1:-} in
  accounts) list='/etc/passwd 644 root
/etc/passwd- 644 root
/etc/group 644 root
/etc/group- 644 root
/etc/shells 644 root
/etc/shadow 640 root,shadow
/etc/shadow- 640 root,shadow
/etc/gshadow 640 root,shadow
/etc/gshadow- 640 root,shadow
/etc/security/opasswd 600 root
/etc/security/opasswd.old 600 root' ;;
  cron) list='/etc/crontab 600 root
/etc/cron.hourly 700 root
/etc/cron.daily 700 root
/etc/cron.weekly 700 root
/etc/cron.monthly 700 root
/etc/cron.yearly 700 root
/etc/cron.d 700 root
/etc/cron.allow 640 root,crontab
/etc/cron.deny 640 root,crontab
/etc/at.allow 640 root,daemon
/etc/at.deny 640 root,daemon' ;;
  *) fail "modes.sh does not know '${1:-}'" ;;
esac
found=$(printf '%s\n' "$list" | while read -r path most groups; do
  [ -e "$path" ] || continue
  stat -L -c '%a %U %G' -- "$path" | {
    read -r mode owner group || { echo "$path: cannot be looked at"; exit; }
    [ $((0$mode & ~0$most & 07777)) = 0 ] || echo "$path: has mode $mode, more than 0$most"
    [ "$owner" = root ] || echo "$path: belongs to $owner"
    case ",$groups," in *",$group,"*) ;; *) echo "$path: has the group $group" ;; esac
  }
done)
if [ "$1" = cron ]; then
  [ -e /usr/sbin/cron ] || [ -e /usr/sbin/crond ] || [ -e /usr/bin/at ] || [ -e /etc/crontab ] || [ -e /etc/cron.d ] || { echo "this host has neither cron nor at"; exit 77; }
  [ ! -e /usr/bin/crontab ] || [ -e /etc/cron.allow ] || found="${found:+$found
}/etc/cron.allow: is not there, so that everybody may use cron"
  [ ! -e /usr/bin/at ] || [ -e /etc/at.allow ] || found="${found:+$found
}/etc/at.allow: is not there, so that everybody may use at"
fi
case $found in *'cannot be looked at'*) fail "$found" ;; esac
[ -n "$found" ] || { echo "owners and modes are as strict as demanded"; exit 0; }
echo "files that are open to others: $(printf '%s\n' "$found" | cut -d: -f1 | sort -u | grep -c .)"
printf '%s\n' "$found" | head -n 40
exit 1
