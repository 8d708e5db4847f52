#!/bin/sh
# Judges the stacks of PAM as they are merged: @include, include and substack are
# followed, an option of a module comes before its file.
#
#   pam.sh nullok|hash|quality|lockout|history|su|umask
set -u
export LC_ALL=C

fail() { echo "$1"; exit 2; }
[ -d /etc/pam.d ] || { echo "this host has no PAM"; exit 77; }
found=
bad() { found="${found:+$found
}$1"; }
finish() {
  [ -n "$found" ] || { echo "$1"; exit 0; }
  echo "$2"
  printf '%s\n' "$found" | sort -u | head -n 40
  exit 1
}

# The merged stack of a service for a type, as lines "FILE: CONTROL MODULE OPTIONS".
stack() {
  awk -v service="$1" -v wanted="$2" '
    function walk(file, depth,   line, whole, type, control, rest, status) {
      if (depth > 16) { print file ": includes itself" > "/dev/stderr"; exit 3 }
      while ((status = (getline line < file)) > 0) {
        if (line ~ /^[ \t]*#/) continue
        whole = whole line
        if (whole ~ /\\$/) { sub(/\\$/, " ", whole); continue }
        line = whole; whole = ""
        sub(/[ \t]#.*/, "", line); sub(/^[ \t]+/, "", line)
        if (line == "") continue
        if (line ~ /^@include[ \t]/) { sub(/^@include[ \t]+/, "", line); sub(/[ \t]+$/, "", line); walk("/etc/pam.d/" line, depth + 1); continue }
        type = line; sub(/[ \t].*/, "", type); sub(/^-/, "", type)
        if (type != wanted) continue
        sub(/^[^ \t]+[ \t]+/, "", line)
        if (line ~ /^\[/) { control = substr(line, 1, index(line, "]")); rest = substr(line, index(line, "]") + 1) }
        else { control = line; sub(/[ \t].*/, "", control); rest = line; sub(/^[^ \t]+/, "", rest) }
        gsub(/[ \t]+/, " ", rest); sub(/^ /, "", rest); sub(/ $/, "", rest)
        if (control == "include" || control == "substack") { walk("/etc/pam.d/" rest, depth + 1); continue }
        gsub(/[ \t]+/, "_", control)
        print file ": " control " " rest
      }
      if (status < 0) { print file " cannot be read" > "/dev/stderr"; exit 3 }
      close(file)
    }
    BEGIN { walk("/etc/pam.d/" service, 0) }' </dev/null 2>&1 || fail "the stack of $1 cannot be read: see /etc/pam.d/$1"
}
# Those of these services that the host has.
services() { for service; do [ ! -e "/etc/pam.d/$service" ] || echo "$service"; done; }
# An option of a configuration file: the last of KEY = VALUE, or KEY alone.
option() {
  key=$1
  shift
  for file; do [ ! -e "$file" ] || [ -r "$file" ] || fail "$file cannot be read"; done
  cat "$@" 2>/dev/null | awk -v key="$key" '{ sub(/#.*/, ""); at = index($0, "="); name = at ? substr($0, 1, at - 1) : $0; value = at ? substr($0, at + 1) : "yes"
    gsub(/[ \t]/, "", name); gsub(/[ \t]/, "", value); if (name == key) last = value } END { print last }'
}
# An option of a module in a stack, or of its file.
argument() { printf '%s\n' "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | tail -n 1; }

nullok() {
  for service in $(services common-auth common-password login sshd su sudo passwd); do
    for type in auth password; do
      lines=$(stack "$service" $type) || fail "$lines"
      lines=$(printf '%s\n' "$lines" | grep 'pam_unix\.so.* nullok')
      [ -z "$lines" ] || bad "$lines"
    done
    # pam_permit ends a stack as 'required' once others have decided; it must not decide itself.
    lines=$(stack "$service" auth) || fail "$lines"
    lines=$(printf '%s\n' "$lines" | grep -E ': (sufficient|\[[^ ]*(success|default)=(done|[0-9]+)[^ ]*\]) [^ ]*pam_permit\.so')
    [ -z "$lines" ] || bad "$lines"
  done
  finish "no stack lets in without a password" "what is no password lets in"
}

hash() {
  for service in $(services passwd common-password); do
    lines=$(stack "$service" password) || fail "$lines"
    lines=$(printf '%s\n' "$lines" | grep 'pam_unix\.so')
    case "$lines " in
      ' ') ;;
      *\ yescrypt\ * | *\ sha512\ * | *\ gost_yescrypt\ *) ;;
      *\ md5\ * | *\ bigcrypt\ * | *\ sha256\ * | *\ blowfish\ *) bad "$lines" ;;
      *) case $(awk '$1 == "ENCRYPT_METHOD" { print toupper($2) }' /etc/login.defs 2>/dev/null | tail -n 1) in
        SHA512 | YESCRYPT) ;;
        *) bad "$lines (and /etc/login.defs names no strong method)" ;;
      esac ;;
    esac
  done
  finish "new passwords are kept by yescrypt or SHA-512" "new passwords get a weak hash"
}

quality() {
  lines=$(stack passwd password) || fail "$lines"
  order=$(printf '%s\n' "$lines" | sed -n 's/.*\(pam_pwquality\|pam_unix\)\.so.*/\1/p' | head -n 1)
  if [ "$order" != pam_pwquality ]; then
    bad "/etc/pam.d/passwd: pam_pwquality does not come before pam_unix"
    finish "" "passwords are not judged"
  fi
  line=$(printf '%s\n' "$lines" | grep 'pam_pwquality\.so' | head -n 1)
  case $line in *': required '* | *': requisite '* | *': ['*) ;; *) bad "$line: its verdict does not count" ;; esac
  # The directory is read first, so the main file has the last word.
  set -- /etc/security/pwquality.conf.d/*.conf /etc/security/pwquality.conf
  length=$(argument "$line" minlen)
  length=${length:-$(option minlen "$@")}
  [ "${length:-8}" -ge 14 ] || bad "minlen is ${length:-8, by default}, less than 14"
  for want in difok:2: maxrepeat:3:0 maxsequence:3:0; do
    key=${want%%:*}; rest=${want#*:}; limit=${rest%%:*}
    value=$(argument "$line" "$key")
    value=${value:-$(option "$key" "$@")}
    case $key in
      difok) [ "${value:-1}" -ge "$limit" ] || bad "$key is ${value:-1, by default}, less than $limit" ;;
      *) [ "${value:-0}" -ge 1 ] && [ "${value:-0}" -le "$limit" ] || bad "$key is ${value:-0, by default}, not 1 to $limit" ;;
    esac
  done
  value=$(option dictcheck "$@")
  [ "${value:-1}" != 0 ] || bad "dictcheck is 0: words of the dictionary pass"
  value=$(option enforcing "$@")
  [ "${value:-1}" != 0 ] || bad "enforcing is 0: what is found does not count"
  finish "new passwords have 14 characters at the least and are judged" "new passwords are judged too mildly"
}

lockout() {
  for service in $(services login sshd su sudo); do
    lines=$(stack "$service" auth) || fail "$lines"
    printf '%s\n' "$lines" | grep -q 'pam_unix\.so' || continue
    for word in preauth authfail; do
      printf '%s\n' "$lines" | grep -q "pam_faillock\.so.* $word\|pam_faillock\.so $word" || bad "/etc/pam.d/$service: no pam_faillock $word in auth"
    done
    # What counts a failure comes after the module that judges the password, what refuses a locked account before it.
    order=$(printf '%s\n' "$lines" | sed -n 's/.*pam_faillock\.so.*\(preauth\|authfail\).*/\1/p; s/.*pam_unix\.so.*/unix/p' | tr '\n' ' ')
    case $order in
      *unix*preauth*) bad "/etc/pam.d/$service: pam_faillock preauth comes after pam_unix" ;;
      *authfail*unix*) bad "/etc/pam.d/$service: pam_faillock authfail comes before pam_unix" ;;
    esac
    printf '%s\n' "$lines" | grep 'pam_faillock\.so.*preauth' | grep -q ': \(optional\|sufficient\) ' &&
      bad "/etc/pam.d/$service: the verdict of pam_faillock preauth does not count"
    account=$(stack "$service" account) || fail "$account"
    printf '%s\n' "$account" | grep -q 'pam_faillock\.so' || bad "/etc/pam.d/$service: no pam_faillock in account, so that a success does not reset the count"
    line=$(printf '%s\n' "$lines" | grep 'pam_faillock\.so.*preauth' | head -n 1)
    deny=$(argument "$line" deny)
    deny=${deny:-$(option deny /etc/security/faillock.conf)}
    [ "${deny:-3}" -ge 1 ] && [ "${deny:-3}" -le 5 ] || bad "/etc/pam.d/$service: deny is $deny, not 1 to 5"
    time=$(argument "$line" unlock_time)
    time=${time:-$(option unlock_time /etc/security/faillock.conf)}
    case ${time:-600} in
      0 | never) ;;
      *) [ "${time:-600}" -ge 900 ] || bad "/etc/pam.d/$service: unlock_time is ${time:-600, by default}, less than 900" ;;
    esac
  done
  finish "an account is locked after 5 failed passwords for 15 minutes" "failed passwords do not lock an account as demanded"
}

history() {
  lines=$(stack passwd password) || fail "$lines"
  order=$(printf '%s\n' "$lines" | sed -n 's/.*\(pam_pwhistory\|pam_unix\)\.so.*/\1/p' | head -n 1)
  if [ "$order" != pam_pwhistory ]; then
    bad "/etc/pam.d/passwd: pam_pwhistory does not come before pam_unix"
    finish "" "earlier passwords are not remembered"
  fi
  line=$(printf '%s\n' "$lines" | grep 'pam_pwhistory\.so' | head -n 1)
  count=$(argument "$line" remember)
  count=${count:-$(option remember /etc/security/pwhistory.conf)}
  [ "${count:-10}" -ge 24 ] || bad "$line: remembers ${count:-10} passwords, less than 24"
  printf '%s\n' "$lines" | grep 'pam_unix\.so' | grep -qv 'use_authtok' && bad "/etc/pam.d/passwd: pam_unix asks anew for what pam_pwhistory has judged (no use_authtok)"
  finish "the last 24 passwords are remembered" "earlier passwords are not remembered as demanded"
}

su() {
  [ -e /etc/pam.d/su ] || { echo "this host has no su"; exit 77; }
  lines=$(stack su auth) || fail "$lines"
  line=$(printf '%s\n' "$lines" | grep ': \(required\|requisite\) pam_wheel\.so' | grep -v ' deny' | grep 'use_uid')
  [ -n "$line" ] || { bad "/etc/pam.d/su: no line 'auth required pam_wheel.so use_uid group=GROUP'"; finish "" "everybody may use su"; }
  first=$(printf '%s\n' "$lines" | sed -n 's/.*\(pam_wheel\|pam_unix\)\.so.*/\1/p' | head -n 1)
  [ "$first" = pam_wheel ] || bad "/etc/pam.d/su: pam_unix comes before pam_wheel"
  finish "su is for members of a group: $line" "everybody may use su"
}

# What PAM sets for a session: the module's option, else /etc/login.defs, for a user
# with a field umask= in /etc/passwd that.
sessions() {
  weak() { case $1 in *[2367]7) return 1 ;; esac; }
  for service in $(services login sshd su sudo cron); do
    lines=$(stack "$service" session) || fail "$lines"
    line=$(printf '%s\n' "$lines" | grep 'pam_umask\.so' | tail -n 1)
    [ -n "$line" ] || { bad "/etc/pam.d/$service: no pam_umask in session"; continue; }
    mask=$(argument "$line" umask)
    [ -z "$mask" ] || ! weak "$mask" || bad "$line: weaker than 027"
    [ -n "$mask" ] || used=yes
    groups=$(awk '$1 == "USERGROUPS_ENAB" { print tolower($2) }' /etc/login.defs 2>/dev/null | tail -n 1)
    case "$line " in
      *' nousergroups '*) ;;
      *' usergroups '*) bad "$line: a group of the user's own name gets all rights of the user" ;;
      *) [ "$groups" != yes ] || bad "$line: USERGROUPS_ENAB of /etc/login.defs gives a group of the user's own name all rights of the user" ;;
    esac
  done
  if [ -n "${used:-}" ]; then
    masks=$(awk '$1 == "UMASK" { print $2 }' /etc/login.defs 2>/dev/null)
    [ -n "$masks" ] || bad "/etc/login.defs: there is no UMASK"
    for mask in $masks; do ! weak "$mask" || bad "/etc/login.defs: UMASK is $mask"; done
  fi
  lines=$(awk -F: '{ rest = $5; while (match(rest, /umask=[0-7]*/)) { print $1 " " substr(rest, RSTART + 6, RLENGTH - 6); rest = substr(rest, RSTART + RLENGTH) } }' /etc/passwd) || fail "/etc/passwd cannot be read"
  while read -r name mask; do
    [ -z "$name" ] || ! weak "$mask" || bad "$name: /etc/passwd gives it a umask of $mask"
  done <<END
$lines
END
  if [ -x /usr/sbin/sshd ]; then
    said=$(/usr/sbin/sshd -T 2>&1) || fail "sshd -T: $said"
    ! printf '%s\n' "$said" | grep -qx 'usepam no' || bad "sshd does not use PAM (UsePAM no): its sessions have the umask of the daemon"
  fi
  finish "PAM gives each session a umask of 027 or stricter" "sessions whose new files may be for others"
}

case ${1:-} in
  nullok | hash | quality | lockout | history | su) "$1" ;;
  umask) sessions ;;
  *) fail "pam.sh does not know '${1:-}'" ;;
esac
