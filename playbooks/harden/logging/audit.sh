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
  printf '%s\n' "$@" | grep .
  exit 1
}

installed() {
  command -v auditctl >/dev/null || fails 'auditd is not installed'
}

# What auditctl says of the kernel's audit, or that it cannot be asked.
status() {
  auditctl -s 2>&1 || unreadable 'auditctl -s is not answered'
}

# The rules of standard input in one form, a tab, and as they stand: a file and auditctl
# have other words, numbers and orders for the same.
normal() {
  awk '
    function sorted(text, by,  list, n, i, j, one, out) {
      n = split(text, list, by)
      for (i = 2; i <= n; i++) { one = list[i]; for (j = i - 1; j > 0 && list[j] > one; j--) list[j + 1] = list[j]; list[j + 1] = one }
      for (i = 1; i <= n; i++) if (list[i] != "" && list[i] != list[i - 1]) out = out " " list[i]
      return out
    }
    function letters(text,  i, out) { for (i = 1; i <= 4; i++) if (index(text, substr("rwxa", i, 1))) out = out substr("rwxa", i, 1); return out }
    function field(text,  name, sign, value) {
      match(text, /[!<>&=]+/)
      name = substr(text, 1, RSTART - 1); sign = substr(text, RSTART, RLENGTH); value = substr(text, RSTART + RLENGTH)
      if (name == "loginuid") name = "auid"
      if (name == "dir") name = "path"
      if (name == "path") { sub(/\/+$/, "", value) }
      if (name == "perm") value = letters(value)
      if (name == "arch") value = value ~ /^(b32|i[3-6]86|arm.*|ppc|s390)$/ ? "b32" : "b64"
      if (name ~ /uid$/) { if (value ~ /^(unset|-1)$/) value = 4294967295; else if (value in user) value = user[value] }
      if (name ~ /gid$/) { if (value ~ /^(unset|-1)$/) value = 4294967295; else if (value in members) value = members[value] }
      if (name ~ /^a[0-3]$/ && value ~ /^[0-9]+$/) value = sprintf("0x%x", value)
      if (name ~ /^a[0-3]$/) value = tolower(value)
      if (name == "exit") { sub(/^-13$/, "-EACCES", value); sub(/^-1$/, "-EPERM", value) }
      if (name == "success") value = value ~ /^(1|yes)$/ ? 1 : 0
      fields = fields "\t" name sign value
    }
    BEGIN {
      FS = ":"
      while ((getline <"/etc/passwd") > 0) user[$1] = $3
      while ((getline <"/etc/group") > 0) members[$1] = $3
      FS = "[ \t]+"
    }
    { sub(/^[ \t]+/, ""); sub(/[ \t\r]+$/, "") }
    !/^-[aAw][ \t]/ { next }
    {
      total = split($0, word, /[ \t]+/); fields = calls = what = ""; perm = 0
      for (i = 1; i <= total; i++) {
        value = word[i + 1]
        if (word[i] ~ /^-[aA]$/) { what = sorted(value, ","); i++ }
        else if (word[i] == "-w") { what = " always exit"; field("path=" value); i++ }
        else if (word[i] == "-p") { field("perm=" value); perm = 1; i++ }
        else if (word[i] == "-k") { field("key=" value); i++ }
        else if (word[i] == "-F") { field(value); if (value ~ /^perm=/) perm = 1; i++ }
        else if (word[i] == "-C") { match(value, /!?=/); sign = substr(value, RSTART, RLENGTH); split(value, pair, /!?=/); fields = fields "\t-C" sign sorted(pair[1] "," pair[2], ","); i++ }
        else if (word[i] == "-S") { if (value != "all") calls = calls "," value; i++ }
        else fields = fields "\t" word[i]
      }
      if (/^-w/ && !perm) field("perm=rwxa")
      only = fields; sub(/\tkey=[^\t]*/, "", only)
      key = (what == " never task" && only == "" ? "task never" : what) (fields == "" ? "" : " :" sorted(fields, "\t")) (calls == "" ? "" : " -S" sorted(calls, ","))
      print key "\t" $0
    }'
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
    wanted=$(cat /etc/audit/rules.d/*.rules 2>/dev/null | normal) || unreadable 'the rules of /etc/audit/rules.d cannot be read'
    [ -n "$wanted" ] || fails 'there are no rules in /etc/audit/rules.d'
    out=$(auditctl -l 2>&1) || unreadable "$out"
    live=$(printf '%s\n' "$out" | normal) || unreadable 'the rules of the kernel cannot be read'
    # A rule of the kernel's list of tasks comes before all others.
    out=$(printf '%s\n' "$live" | grep '^task never	') && fails "no process is recorded: the kernel has '$(printf '%s\n' "$out" | head -n 1 | cut -f 2)'"
    missing=$({ printf '%s\n' "$live"; echo; printf '%s\n' "$wanted"; } | awk -F '\t' '
      $0 == "" { files = 1; next }
      !files { loaded[$1] = 1; next }
      !($1 in loaded) && !($1 in seen) { seen[$1] = 1; print $2 }' | while IFS= read -r rule; do
      # The kernel takes no watch whose folder is not there.
      at=$(printf '%s\n' "$rule" | sed -n 's/^-w  *\([^ ]*[^ /]\).*/\1/p')
      at=${at%/*}
      [ -n "$at" ] && [ ! -d "$at" ] || printf 'not loaded: %s\n' "$rule"
    done)
    count=$(printf '%s\n' "$live" | grep -c .)
    [ -n "$missing" ] || holds "the kernel has $count rules, those of the files among them"
    lacking=$(printf '%s\n' "$missing" | grep -c .)
    fails "the kernel lacks $lacking rules of the files, and has $count" "$(printf '%s\n' "$missing" | head -n 40)" "$([ "$lacking" -le 40 ] || echo "and $((lacking - 40)) more")"
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
