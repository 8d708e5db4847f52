#!/bin/sh
# The journal, log files and AIDE. $1: journal, modes, remote, rotation, rsyslog or aide.
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
  printf '%s\n' "$@"
  exit 1
}

# The last value of a setting in what systemd has merged: blanks around it do not count.
merged() {
  printf '%s\n' "$text" | sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" | sed 's/[[:space:]]*$//' | tail -n 1
}

active() {
  [ "$(systemctl is-active "$1" 2>/dev/null)" = active ]
}

case $1 in
  journal)
    text=$(systemd-analyze cat-config systemd/journald.conf 2>&1) || unreadable "$text"
    storage=$(merged Storage)
    limit=$(merged SystemMaxUse)
    id=$(cat /etc/machine-id) || unreadable '/etc/machine-id cannot be read'
    bad=
    [ "$storage" = persistent ] || [ "${storage:-auto} $(test -d /var/log/journal && echo kept)" = 'auto kept' ] || bad="Storage is ${storage:-auto}"
    [ -n "$limit" ] || bad="$bad${bad:+, }SystemMaxUse is not set"
    [ -e "/var/log/journal/$id/system.journal" ] || bad="$bad${bad:+, }nothing is written to /var/log/journal"
    [ -z "$bad" ] || fails "$bad"
    holds "the journal is kept, at most $limit"
    ;;
  modes)
    list=$(find /var/log -xdev -type f -perm /0027 -printf '%m %g %p\n' 2>&1) || unreadable "$list"
    out=$(printf '%s\n' "$list" | awk '
      NF < 3 { next }
      {
        others = substr($1, length($1)) + 0; members = substr($1, length($1) - 1, 1) + 0
        path = $0; sub(/^[^ ]+ [^ ]+ /, "", path)
        name = path; sub(/.*\//, "", name)
      }
      int(others / 2) % 2 { print path " is writable by all (" $1 ")"; next }
      int(members / 2) % 2 && $2 !~ /^(root|adm|utmp|syslog|systemd-journal)$/ { print path " is writable by the group " $2 " (" $1 ")"; next }
      int(others / 4) && (name ~ /^(auth\.log|secure|syslog|messages|kern\.log|cron\.log|mail\.|sudo\.log|btmp|ufw\.log)/ || path ~ /^\/var\/log\/(audit|journal|sudo-io)\//) { print path " is readable by all (" $1 ")" }')
    [ -n "$out" ] || holds 'log files are closed'
    count=$(printf '%s\n' "$out" | grep -c .)
    echo "$count open log files"
    printf '%s\n' "$out" | head -n 40
    [ "$count" -le 40 ] || echo "and $((count - 40)) more"
    exit 1
    ;;
  remote)
    units='systemd-journal-upload syslog-ng fluent-bit fluentd td-agent filebeat vector promtail alloy wazuh-agent splunkforwarder amazon-cloudwatch-agent google-cloud-ops-agent-fluent-bit'
    # shellcheck disable=SC2086
    systemctl is-active $units 2>/dev/null | grep -qx active && holds 'a shipper sends logs away'
    if active rsyslog.service; then
      cat /etc/rsyslog.conf /etc/rsyslog.d/*.conf 2>/dev/null |
        grep -qE '^[^#]*(@@?[a-zA-Z0-9[(]|type="?om(fwd|relp))' && holds 'rsyslog sends logs away'
    fi
    fails 'logs are on this host alone'
    ;;
  rotation)
    [ -e /usr/sbin/logrotate ] || fails 'logrotate is not installed'
    active logrotate.timer || fails 'logrotate.timer is not active'
    out=$(logrotate -d /etc/logrotate.conf 2>&1)
    code=$?
    errors=$(printf '%s\n' "$out" | grep '^error:' | head -n 40)
    [ -z "$errors" ] || fails "$errors"
    [ "$code" = 0 ] || unreadable "logrotate -d ended with exit code $code"
    holds 'logs are rotated each day'
    ;;
  rsyslog)
    [ -e /usr/sbin/rsyslogd ] || { echo 'rsyslog is not installed'; exit 77; }
    # shellcheck disable=SC2016
    mode=$(cat /etc/rsyslog.conf /etc/rsyslog.d/*.conf 2>/dev/null | sed -n 's/^[[:space:]]*\$FileCreateMode[[:space:]]*\([0-7]*\).*/\1/p' | tail -n 1)
    case $mode in
      0[0246][04]0) holds "files are made with $mode" ;;
      '') fails 'FileCreateMode is not set: files are made with 0644' ;;
      *) fails "FileCreateMode is $mode" ;;
    esac
    ;;
  aide)
    [ -e /usr/bin/aide ] || [ -e /usr/sbin/aide ] || fails 'AIDE is not installed'
    active dailyaidecheck.timer || fails 'dailyaidecheck.timer is not active'
    [ -s /var/lib/aide/aide.db ] && holds 'there is a database'
    [ "$(systemctl is-active stockade-aide-init.service 2>/dev/null)" = activating ] && fails 'the first database is being made'
    fails 'there is no database: nothing is compared'
    ;;
  *) unreadable "unknown question '$1'" ;;
esac
