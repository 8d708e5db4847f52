#!/bin/sh
# Time, boot, AppArmor and banners. $1: banners, time, grub, apparmor, processor,
# password, secure-boot or failed; apparmor takes the level as $2.
LC_ALL=C
export LC_ALL

unreadable() {
  printf '%s\n' "$1"
  exit 3
}

none() {
  printf '%s\n' "$1"
  exit 77
}

holds() {
  printf '%s\n' "$1"
  exit 0
}

# A summary, and at most 40 lines of what was found.
fails() {
  printf '%s\n' "$1"
  lines=$(printf '%s' "$2")
  if [ -n "$lines" ]; then
    count=$(printf '%s\n' "$lines" | grep -c .)
    printf '%s\n' "$lines" | head -n 40
    [ "$count" -le 40 ] || echo "and $((count - 40)) more"
  fi
  exit 1
}

case $1 in
  banners)
    bad=
    for path in /etc/issue /etc/issue.net /etc/motd; do
      [ -e "$path" ] || continue
      text=$(cat "$path") || unreadable "$path cannot be read"
      if printf '%s\n' "$text" | grep -qE '\\[mrsv]'; then
        bad="$bad$path names the system's version
"
      elif printf '%s\n' "$text" | grep -qiE '(ubuntu|debian)( gnu/linux)? [0-9]'; then
        bad="$bad$path names the distribution and its version
"
      fi
      state=$(stat -L -c '%U %a' "$path") || unreadable "$path cannot be read"
      case $state in
        'root '*[2367] | 'root '*[2367]?) bad="$bad$path is writable by others (${state#* })
" ;;
        'root '*) ;;
        *) bad="$bad$path belongs to ${state% *}
" ;;
      esac
    done
    [ -n "$bad" ] || holds 'they tell nothing of the system'
    fails "$(printf '%s' "$bad" | grep -c .) faults: $(printf '%s' "$bad" | sed 's/ .*//' | sort -u | tr '\n' ' ')" "$bad"
    ;;
  time)
    units='chrony.service systemd-timesyncd.service ntpsec.service ntp.service openntpd.service ntpd-rs.service'
    # shellcheck disable=SC2086
    states=$(systemctl show -p Id -p ActiveState $units 2>&1) || unreadable "$states"
    found=$(printf '%s\n' "$states" | awk -F = '
      /^Id=/ { id = $2 }
      /^ActiveState=/ { active = $2 }
      /^$/ { if (active == "active") seen[id] = 1; id = active = "" }
      END { if (active == "active") seen[id] = 1; for (id in seen) print id }')
    count=$(printf '%s\n' "$found" | grep -c .)
    [ "$count" != 0 ] || fails 'no time daemon is active'
    [ "$count" = 1 ] || fails "$count time daemons are active" "$found"
    synchronised=$(timedatectl show -p NTPSynchronized --value 2>&1) || unreadable "$synchronised"
    [ "$synchronised" = yes ] || fails "$found is active, but the clock is not synchronised"
    holds "$found keeps the clock"
    ;;
  grub)
    bad=
    seen=
    for path in /boot/grub/grub.cfg /boot/grub/user.cfg /boot/grub2/grub.cfg; do
      [ -e "$path" ] || continue
      seen=yes
      state=$(stat -c '%U:%G %a' "$path") || unreadable "$path cannot be read"
      case $state in
        'root:root '[0246]00 | 'root:root 0') ;;
        *) bad="$bad$path is $state
" ;;
      esac
    done
    [ -n "$seen" ] || none 'there is no GRUB here'
    [ -n "$bad" ] || holds 'it is root'"'"'s alone'
    fails "not root's alone: $(printf '%s' "$bad" | sed 's/ .*//' | tr '\n' ' ')" "$bad"
    ;;
  apparmor)
    [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] || fails 'AppArmor is off in the kernel'
    list=$(cat /sys/kernel/security/apparmor/profiles 2>&1) || unreadable "$list"
    enforced=$(printf '%s\n' "$list" | grep -c '(enforce)$')
    complain=$(printf '%s\n' "$list" | grep '(complain)$')
    [ "$enforced" -gt 0 ] || fails 'no profile is enforced'
    [ "$2" -lt 2 ] || [ -z "$complain" ] || fails "$(printf '%s\n' "$complain" | grep -c .) profiles only complain" "$complain"
    holds "$enforced profiles are enforced"
    ;;
  processor)
    folder=/sys/devices/system/cpu/vulnerabilities
    [ -d "$folder" ] || none 'the kernel does not tell'
    list=$(cd "$folder" && grep -H . ./* 2>&1) || unreadable "$list"
    bad=$(printf '%s\n' "$list" | sed -n 's,^\./\([^:]*\):\(.*Vulnerable.*\)$,\1: \2,p' | grep -v ': Mitigation')
    [ -n "$bad" ] || holds 'all known faults are mitigated'
    fails "not mitigated: $(printf '%s\n' "$bad" | sed 's/:.*//' | tr '\n' ' ')" "$bad"
    ;;
  password)
    seen=
    for path in /boot/grub/grub.cfg /boot/grub2/grub.cfg; do
      [ -e "$path" ] || continue
      seen=yes
      text=$(cat "$path") || unreadable "$path cannot be read"
      printf '%s\n' "$text" | grep -q '^[[:space:]]*set superusers=' &&
        printf '%s\n' "$text" | grep -q '^[[:space:]]*password' && holds "$path names superusers"
    done
    [ -n "$seen" ] || none 'there is no GRUB here'
    fails 'GRUB asks for no password'
    ;;
  secure-boot)
    [ -d /sys/firmware/efi ] || none 'this host does not boot by EFI'
    for path in /sys/firmware/efi/efivars/SecureBoot-*; do
      [ -e "$path" ] || fails 'the firmware has no Secure Boot'
      value=$(od -An -t u1 -j 4 -N 1 "$path" 2>&1) || unreadable "$value"
      [ "${value##* }" = 1 ] && holds 'Secure Boot is on'
    done
    fails 'Secure Boot is off'
    ;;
  failed)
    list=$(systemctl list-units --failed --plain --no-legend --no-pager 2>&1) || unreadable "$list"
    [ -n "$list" ] || holds 'no unit has failed'
    list=$(printf '%s\n' "$list" | sed 's/ .*//')
    fails "failed: $(printf '%s\n' "$list" | head -n 5 | tr '\n' ' ')" "$list"
    ;;
  *) unreadable "unknown question '$1'" ;;
esac
