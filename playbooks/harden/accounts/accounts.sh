#!/bin/sh
# Judges the local accounts by /etc/passwd, /etc/shadow, /etc/group, what stands in
# homes, and the directories of root's PATH.
#
#   accounts.sh root|passwords|names|system|homes|trust|ageing|hashes|path|shells
#   accounts.sh docker NAME…
set -u
export LC_ALL=C

fail() { echo "$1"; exit 2; }
for file in /etc/passwd /etc/shadow /etc/group; do [ -r "$file" ] || fail "$file cannot be read"; done

# Ends: with the findings in $found, a line each, or with what holds.
finish() {
  [ -n "$found" ] || { echo "$1"; exit 0; }
  count=$(printf '%s\n' "$found" | grep -c .)
  names=$(printf '%s\n' "$found" | head -n 8 | cut -d: -f1 | tr '\n' ' ' | sed 's/ $//; s/ /, /g')
  echo "$2 ($count): $names$([ "$count" -le 8 ] || echo ', …')"
  printf '%s\n' "$found" | head -n 40
  [ "$count" -le 40 ] || echo "and $((count - 40)) more"
  exit 1
}

of_login_defs() {
  value=$(awk -v key="$1" '$1 == key { value = $2 } END { print value }' /etc/login.defs 2>/dev/null)
  echo "${value:-$2}"
}
least=$(of_login_defs UID_MIN 1000)

# Accounts of people: name, uid and home, where the shell lets them in. login(1) and
# sshd start any program as a shell, whether /etc/shells lists it or not.
people() {
  awk -F: -v least="$least" '
    ($3 == 0 || $3 >= least) && $3 != 65534 && $3 != 65535 && $7 !~ /\/(nologin|false)$/ && $6 ~ /^\/./ { print $1 ":" $3 ":" $6 }
  ' /etc/passwd || fail "/etc/passwd cannot be read"
}

root() {
  found=$(awk -F: '
    $3 + 0 == 0 && $1 != "root" { print $1 ": has UID 0 as root has (/etc/passwd:" FNR ")" }
    $4 + 0 == 0 && $1 !~ /^(root|sync|shutdown|halt|operator)$/ { print $1 ": has GID 0 as root has (/etc/passwd:" FNR ")" }
    $1 == "root" && ($3 + 0 != 0 || $4 + 0 != 0) { print "root: has UID " $3 " and GID " $4 " (/etc/passwd:" FNR ")" }
    ' /etc/passwd) || fail "/etc/passwd cannot be read"
  groups=$(awk -F: '$3 + 0 == 0 && $1 != "root" { print $1 ": a group with GID 0 (/etc/group:" FNR ")" }' /etc/group) || fail "/etc/group cannot be read"
  found=$(printf '%s\n%s' "$found" "$groups" | grep .)
  finish "only root has UID 0 and GID 0" "accounts or groups are root by another name"
}

passwords() {
  found=$(awk -F: '
    FILENAME == "/etc/passwd" { if ($2 == "") print $1 ": no password is needed (/etc/passwd:" FNR ")"
      else if ($2 != "x" && $2 !~ /^[*!]/) print $1 ": its hash is readable by all (/etc/passwd:" FNR ")"
      next }
    $2 == "" { print $1 ": no password is needed (/etc/shadow:" FNR ")" }
    ' /etc/passwd /etc/shadow) || fail "/etc/passwd or /etc/shadow cannot be read"
  finish "no account is without password" "accounts without password"
}

names() {
  found=$(awk -F: '
    function twice(what, key, line) {
      if ((what, key) in seen) print $1 ": " what " " key " is that of " seen[what, key] " too (" FILENAME ":" FNR ")"
      else seen[what, key] = $1
    }
    $1 ~ /^\+/ { print $1 ": a line that takes in accounts of a directory service (" FILENAME ":" FNR ")"; next }
    FILENAME == "/etc/group" { twice("the GID", $3); twice("the group name", $1); group[$3] = $1
      if ($1 == "shadow" && $4 != "") print $1 ": has members, who read all hashes: " $4 " (/etc/group:" FNR ")"
      if ($1 == "shadow") shadow = $3
      next }
    { twice("the UID", $3); twice("the name", $1) }
    !($4 in group) { print $1 ": there is no group " $4 " (/etc/passwd:" FNR ")" }
    shadow != "" && $4 == shadow { print $1 ": its primary group is shadow, which reads all hashes (/etc/passwd:" FNR ")" }
    ' /etc/group /etc/passwd) || fail "/etc/passwd or /etc/group cannot be read"
  finish "names and numbers are unique" "accounts or groups that are not unique or not whole"
}

system() {
  found=$(awk -F: -v least="$least" '
    FILENAME == "/etc/shadow" { hash[$1] = $2; next }
    $3 + 0 > 0 && ($3 + 0 < least || $3 == 65534) && $1 !~ /^(sync|shutdown|halt)$/ {
      if ($7 !~ /\/(nologin|false|true|sync)$/) print $1 ": a system account with the shell " ($7 == "" ? "/bin/sh" : $7) " (/etc/passwd:" FNR ")"
      if (($1 in hash) && hash[$1] !~ /^[*!]/) print $1 ": a system account with a password (/etc/shadow)"
    }' /etc/shadow /etc/passwd) || fail "/etc/shadow or /etc/passwd cannot be read"
  finish "no system account can log in" "system accounts that can log in"
}

# One finding for a path that others than its owner can write or read.
homes() {
  list=$(people) || { echo "$list"; exit 2; }
  found=$(printf '%s\n' "$list" | while IFS=: read -r name uid home; do
    if [ ! -d "$home" ]; then echo "$name: its home $home is no directory"; continue; fi
    set -- "$home"
    above=$home
    while above=${above%/*} && [ -n "$above" ]; do set -- "$@" "$above"; done
    [ ! -e "$home/.ssh" ] || set -- "$@" "$home/.ssh"
    for file in "$home"/.ssh/authorized_keys*; do [ ! -e "$file" ] || set -- "$@" "$file"; done
    stat -L -c '%u %g %a %n' -- "$@" | awk -v name="$name" -v uid="$uid" -v home="$home" '
      function bits(mode, mask,  at, digit, wanted, hit) {
        mode = substr("0000" mode, length(mode) + 1)
        for (at = 2; at <= 4; at++) {
          digit = substr(mode, at, 1) + 0; wanted = substr(mask, at - 1, 1) + 0
          for (bit = 4; bit >= 1; bit /= 2) {
            if (wanted >= bit && digit >= bit) hit = 1
            if (wanted >= bit) wanted -= bit
            if (digit >= bit) digit -= bit
          }
        }
        return hit
      }
      { path = $0; sub(/^[^ ]+ [^ ]+ [^ ]+ /, "", path)
        inner = index(path, home "/.ssh") == 1
        if (path != home && !inner) {
          if ($1 != 0 && $1 != uid) print name ": " path " above its home belongs to UID " $1
          if (bits($3, "022") && !($3 ~ /^[1357]...$/)) print name ": " path " above its home has mode " $3
        } else {
          if ($1 != uid && !($1 == 0 && inner)) print name ": " path " belongs to UID " $1
          if (path == home && bits($3, "027")) print name ": " path " has mode " $3 ", more than 0750"
          if (inner && bits($3, "077")) print name ": " path " has mode " $3 ", which others can use"
        }
      }'
  done) || fail "homes cannot be looked at"
  finish "homes and keys are their owners' alone" "homes or keys are open to others"
}

trust() {
  list=$(people) || { echo "$list"; exit 2; }
  found=$(
    for file in /etc/hosts.equiv /etc/shosts.equiv /etc/ssh/shosts.equiv; do [ ! -e "$file" ] || echo "$file: hosts that are trusted without a password or key"; done
    printf '%s\n' "$list" | while IFS=: read -r name uid home; do
      for file in .rhosts .shosts .netrc .forward; do [ ! -e "$home/$file" ] || echo "$name: $home/$file"; done
    done
  )
  finish "no file trusts other hosts or keeps passwords" "files that trust other hosts, keep passwords or forward mail"
}

ageing() {
  most=$(of_login_defs PASS_MAX_DAYS 99999)
  today=$(($(date +%s) / 86400))
  found=$(awk -F: -v today="$today" '
    $2 ~ /^\$|^[A-Za-z0-9.\/]/ {
      if ($5 == "" || $5 + 0 > 365 || $5 + 0 < 1) print $1 ": its password lasts " ($5 == "" ? "for ever" : $5 " days") " (chage -M 365 " $1 ")"
      if ($3 != "" && $3 + 0 > today) print $1 ": its password was changed in the future"
    }' /etc/shadow) || fail "/etc/shadow cannot be read"
  [ "$most" -ge 1 ] && [ "$most" -le 365 ] || found="$found
/etc/login.defs: PASS_MAX_DAYS is $most"
  found=$(printf '%s\n' "$found" | grep .)
  finish "passwords last a year at the most" "passwords or defaults without age"
}

hashes() {
  found=$(awk -F: '
    { hash = $2; sub(/^!+/, "", hash) }
    hash ~ /^\$(y|gy|7|6|5|2[abxy])\$/ || hash ~ /^\*?$/ { next }
    hash ~ /^[A-Za-z0-9.\/]{13}$/ || hash ~ /^[$_]/ || length(hash) == 13 { print $1 ": its password has a weak hash (" (hash ~ /^\$/ ? substr(hash, 1, 3) : "DES") ")" }
    ' /etc/shadow) || fail "/etc/shadow cannot be read"
  method=$(of_login_defs ENCRYPT_METHOD DES)
  case $method in SHA512 | YESCRYPT | sha512 | yescrypt) ;; *) found="$found
/etc/login.defs: ENCRYPT_METHOD is $method" ;; esac
  found=$(printf '%s\n' "$found" | grep .)
  finish "passwords are kept as hashes that are slow to guess" "passwords or defaults with weak hashes"
}

path() {
  roots=$(awk -F'PATH=' '$1 ~ /^ENV_SUPATH/ { print $2 }' /etc/login.defs 2>/dev/null)
  sudoers=$(sed -n 's/^[[:space:]]*Defaults[[:space:]].*secure_path[[:space:]]*=[[:space:]]*"\{0,1\}\([^"]*\)"\{0,1\}.*/\1/p' /etc/sudoers /etc/sudoers.d/* 2>/dev/null | tail -n 1)
  environment=$(sed -n 's/^[[:space:]]*PATH="\{0,1\}\([^"]*\)"\{0,1\}.*/\1/p' /etc/environment 2>/dev/null)
  found=$(printf '%s\n%s\n%s\n' "$roots" "$sudoers" "$environment" | grep . | awk '{ if (/^:|::|:$/) print "(empty)"; n = split($0, part, ":"); for (at = 1; at <= n; at++) if (part[at] != "") print part[at] }' | sort -u |
    while read -r dir; do
      case $dir in
        /*) ;;
        *) echo "$dir: is the directory at hand"; continue ;;
      esac
      [ -d "$dir" ] || continue
      stat -L -c '%u %a' -- "$dir" | while read -r uid mode; do
        [ "$uid" = 0 ] || echo "$dir: belongs to UID $uid"
        case $mode in *[2367]? | *[2367]) echo "$dir: has mode $mode, so that others write it" ;; esac
      done
    done) || fail "the directories of PATH cannot be looked at"
  finish "every directory of root's PATH is root's alone" "directories of root's PATH that are not root's alone"
}

shells() {
  found=$(awk '/^[^#]*\/nologin[[:space:]]*$/ { print "/etc/shells:" FNR " lists " $0 " as a shell to log in with" }' /etc/shells) || fail "/etc/shells cannot be read"
  finish "nologin is no shell to log in with" "lines of /etc/shells"
}

docker() {
  line=$(grep '^docker:' /etc/group) || { echo "there is no group docker"; exit 77; }
  gid=$(echo "$line" | cut -d: -f3)
  members=$(
    echo "$line" | cut -d: -f4 | tr ',' '\n'
    awk -F: -v gid="$gid" '$4 == gid { print $1 }' /etc/passwd
  )
  found=$(for name in $(printf '%s\n' "$members" | sort -u); do
    case " $* " in *" $name "*) ;; *) echo "$name: is root by way of the group docker" ;; esac
  done)
  finish "the members of docker are declared" "members of docker that are not declared"
}

what=${1:-}
[ $# -eq 0 ] || shift
case $what in
  root | passwords | names | system | homes | trust | ageing | hashes | path | shells | docker) "$what" "$@" ;;
  *) fail "accounts.sh does not know '$what'" ;;
esac
