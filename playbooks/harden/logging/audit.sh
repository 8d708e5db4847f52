#!/bin/sh
# The kernel's audit. $1: running, rules, locked, boot, disk or files.
LC_ALL=C
export LC_ALL

unreadable() {
  printf '%s\n' "$1"
  exit 3
}

holds() {
  printf '%s\n' "$1"
  exit 0
}

fails() {
  printf '%s\n' "$1"
  exit 1
}

installed() {
  command -v auditctl >/dev/null || fails 'auditd is not installed'
}

# What auditctl says of the kernel's audit, or that it cannot be asked.
status() {
  auditctl -s 2>&1 || unreadable 'auditctl -s is not answered'
}

case $1 in
  running)
    installed
    active=$(systemctl is-active auditd.service 2>/dev/null)
    enabled=$(systemctl is-enabled auditd.service 2>/dev/null)
    [ -n "$active" ] || unreadable 'systemctl tells no state of units'
    [ "$active $enabled" = 'active enabled' ] || fails "auditd.service is $active, $enabled"
    out=$(status) || unreadable "$out"
    case $out in *'enabled 0'*) fails 'the audit is off in the kernel' ;; esac
    holds 'auditd is active, and the audit is on'
    ;;
  rules)
    installed
    wanted=$(cat /etc/audit/rules.d/*.rules 2>/dev/null | grep -cE '^[[:space:]]*(-a|-A|-w)[[:space:]]')
    [ "${wanted:-0}" -gt 0 ] || fails 'there are no rules in /etc/audit/rules.d'
    out=$(auditctl -l 2>&1) || unreadable "$out"
    live=$(printf '%s\n' "$out" | grep -cE '^(-a|-A|-w) ')
    [ "$live" -ge "$wanted" ] || fails "the kernel has $live rules of $wanted"
    holds "the kernel has $live rules"
    ;;
  locked)
    installed
    out=$(status) || unreadable "$out"
    case $out in *'enabled 2'*) holds 'the rules are locked' ;; esac
    fails 'the rules can be changed'
    ;;
  boot)
    line=$(cat /proc/cmdline) || unreadable 'the command line of the kernel cannot be read'
    bad=
    case " $line " in *' audit=1 '*) ;; *) bad='no audit=1' ;; esac
    limit=$(printf '%s\n' "$line" | sed -n 's/.*audit_backlog_limit=\([0-9]*\).*/\1/p')
    [ "${limit:-0}" -ge 8192 ] || bad="$bad${bad:+, }audit_backlog_limit is ${limit:-not set}"
    [ -z "$bad" ] || fails "$bad"
    holds 'the audit begins with the kernel'
    ;;
  disk)
    installed
    text=$(cat /etc/audit/auditd.conf 2>&1) || unreadable "$text"
    bad=$(printf '%s\n' "$text" | awk -F '[ \t]*=[ \t]*' '
      { key = tolower($1); value = tolower($2); sub(/^[ \t]+/, "", key); sub(/[ \t]+$/, "", value) }
      key ~ /^(space_left_action|admin_space_left_action|disk_full_action|disk_error_action)$/ && value ~ /^(halt|single)/ { print key " = " value }
      key == "max_log_file_action" { action = value }
      END { if (action !~ /^(rotate|keep_logs)$/) print "max_log_file_action = " action }')
    [ -z "$bad" ] || fails "$bad"
    holds 'a full disk does not stop the host'
    ;;
  files)
    installed
    log=$(sed -n 's/^[[:space:]]*log_file[[:space:]]*=[[:space:]]*//p' /etc/audit/auditd.conf 2>/dev/null)
    log=${log:-/var/log/audit/audit.log}
    out=$(
      [ ! -d "${log%/*}" ] || find "${log%/*}" \( -type f -perm /0137 -o -type d -perm /0027 -o ! -user root \) -printf '%p is %u:%g %m\n' || exit 3
      find /etc/audit -type f \( -perm /0137 -o ! -user root -o ! -group root \) -printf '%p is %u:%g %m, not root:root 0640\n' || exit 3
      find /usr/sbin/auditctl /usr/sbin/auditd /usr/sbin/ausearch /usr/sbin/aureport /usr/sbin/augenrules -maxdepth 0 \
        \( -perm /0022 -o ! -user root \) -printf '%p is %u:%g %m, not root 0755\n' 2>/dev/null
      exit 0
    ) || unreadable "$out"
    [ -n "$out" ] || holds 'all are closed'
    count=$(printf '%s\n' "$out" | grep -c .)
    printf '%s open\n' "$count"
    printf '%s\n' "$out" | head -n 40
    [ "$count" -le 40 ] || echo "and $((count - 40)) more"
    exit 1
    ;;
  *) unreadable "unknown question '$1'" ;;
esac
