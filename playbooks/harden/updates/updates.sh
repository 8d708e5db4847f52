#!/bin/sh
# Judges what apt itself makes of its sources and settings.
#
#   updates.sh settings | origins NAME… | pending DAYS | reboot | sources | release | held
set -u
export LC_ALL=C

fail() { echo "$1"; exit 2; }
command -v apt-get >/dev/null || { echo "this host has no apt"; exit 77; }
found=
bad() { found="${found:+$found
}$1"; }
finish() {
  [ -n "$found" ] || { echo "$1"; exit 0; }
  echo "$2"
  printf '%s\n' "$found" | head -n 40
  count=$(printf '%s\n' "$found" | grep -c .)
  [ "$count" -le 40 ] || echo "and $((count - 40)) more"
  exit 1
}
# A field of /etc/os-release.
of_release() { sed -n "s/^$1=\"\{0,1\}\([a-z]*\)\"\{0,1\}\$/\1/p" /etc/os-release; }
settings_of_apt() { apt-config dump 2>/dev/null || fail "apt-config does not tell apt's settings"; }
# The last value of a setting, in what apt-config prints: names have no case.
value() {
  printf '%s\n' "$all" | awk -v key="$1" 'index(tolower($0), tolower(key) " \"") == 1 { sub(/^[^ ]+ "/, ""); sub(/";$/, ""); last = $0 } END { print last }'
}
# Whether apt takes a value for true, or for false (StringToBool of apt-pkg).
is_true() { case $1 in [Yy][Ee][Ss] | [Tt][Rr][Uu][Ee] | [Ww][Ii][Tt][Hh] | [Oo][Nn] | [Ee][Nn][Aa][Bb][Ll][Ee] | [1-9]* | 0[!0]*) ;; *) return 1 ;; esac; }
is_false() { case $1 in [Nn][Oo] | [Ff][Aa][Ll][Ss][Ee] | [Ww][Ii][Tt][Hh][Oo][Uu][Tt] | [Oo][Ff][Ff] | [Dd][Ii][Ss][Aa][Bb][Ll][Ee] | 0) ;; *) return 1 ;; esac; }
# What a file of sources says that makes its packages anybody's, in either form, and as
# "KEY FILE:LINE PATH" the keys that it names. A field of the second form may have its
# value on lines of its own; what is not Enabled does not count.
unsigned() {
  awk '
    function told(text) { if (form == "list") print text; else stanza = stanza text "\n" }
    function flush() { if (!off) printf "%s", stanza; stanza = ""; off = 0; field = "" }
    function judge(name, value,  count, part, i) {
      sub(/[+-]$/, "", name)
      if (name == "signed-by") {
        # A key itself has lines of Base64, which may look like paths.
        if (value ~ /-----BEGIN/) inline = 1
        if (inline) return
        count = split(value, part, /[ \t,]+/)
        for (i = 1; i <= count; i++) if (part[i] ~ /^\//) told("KEY " FILENAME ":" at " " part[i])
        return
      }
      value = tolower(value); gsub(/[ \t]/, "", value)
      if (name ~ /^(trusted|allow-insecure|allow-weak|allow-downgrade-to-insecure)$/) {
        if (value ~ /^(yes|true|with|on|enable|0*[1-9][0-9]*)$/) told(FILENAME ":" at ": takes packages without signature")
      } else if (name ~ /^check-(valid-until|date)$/) {
        if (value ~ /^(no|false|without|off|disable|0+)$/) told(FILENAME ":" at ": takes an old list for a new one")
      } else if (name == "enabled" && value ~ /^(no|false|without|off|disable|0+)$/) off = 1
    }
    FILENAME ~ /\.list$/ {
      form = "list"; line = $0
      if (line !~ /^[ \t]*deb(-src)?[ \t]*\[/) next
      at = FNR; sub(/^[^[]*\[/, "", line); sub(/\].*/, "", line)
      count = split(line, option, /[ \t]+/)
      for (i = 1; i <= count; i++) { eq = index(option[i], "="); if (eq) judge(tolower(substr(option[i], 1, eq - 1)), substr(option[i], eq + 1)) }
      next
    }
    /^#/ { next }
    /^[ \t]*$/ { flush(); next }
    /^[^ \t]/ { at = FNR; colon = index($0, ":"); field = tolower(substr($0, 1, colon - 1)); sub(/[ \t]+$/, "", field); inline = 0; judge(field, substr($0, colon + 1)); next }
    field != "" { judge(field, $0) }
    END { flush() }' "$1"
}

settings() {
  all=$(settings_of_apt) || { echo "$all"; exit 2; }
  dpkg-query -W -f '${db:Status-Status}\n' unattended-upgrades 2>/dev/null | grep -qx installed || bad "the package unattended-upgrades is not installed"
  for key in Enable Update-Package-Lists Unattended-Upgrade; do
    is=$(value "APT::Periodic::$key")
    [ "$key" != Enable ] || is=${is:-1}
    # A number of days, or one of seconds, minutes or hours with its letter.
    case $is in
      '') bad "APT::Periodic::$key is not set" ;;
      always | [1-9]*[smh] | [1-7] | [1-7]d) ;;
      [89] | [1-9][0-9]* | [89]d) [ "$key" = Enable ] || bad "APT::Periodic::$key is $is: less often than each week" ;;
      *) bad "APT::Periodic::$key is $is" ;;
    esac
  done
  if [ -d /run/systemd/system ]; then
    for timer in apt-daily.timer apt-daily-upgrade.timer; do
      systemctl is-active -q "$timer" || bad "$timer does not run"
      systemctl is-enabled -q "$timer" 2>/dev/null || bad "$timer does not start at boot"
      service=${timer%.timer}.service
      [ "$(systemctl is-enabled "$service" 2>/dev/null)" != masked ] || bad "$service is masked: its timer starts nothing"
    done
  fi
  finish "apt looks for updates and installs them by itself" "apt does not install updates by itself"
}

# The entries of a list of unattended-upgrades: names have no case.
entries() { printf '%s\n' "$all" | sed -n -E "s/^Unattended-Upgrade::($1)::[^ ]* \"(.*)\";\$/\\2/Ip" | grep .; }
# Whether entries of $allowed take what comes from an archive, in the order of
# unattended-upgrades: ORIGIN|LABEL|CODENAME|SUITE|SITE|COMPONENT.
takes() {
  printf '%s\n' "$allowed" | awk -v archive="$1" -v id="$id" -v codename="$codename" '
    function glob(text, pattern,  i, one, out) {
      for (i = 1; i <= length(pattern); i++) { one = substr(pattern, i, 1); out = out (one == "*" ? ".*" : one == "?" ? "." : one ~ /[A-Za-z0-9_-]/ ? one : "[" one "]") }
      return text ~ ("^" out "$")
    }
    BEGIN { split(archive, is, "|"); sub(/^[a-z+]*:\/\//, "", is[5]); sub(/\/.*/, "", is[5]) }
    {
      gsub(/\$\{distro_codename\}/, codename); gsub(/\$\{distro_id\}/, id)
      if (index($0, "=") == 0) { at = index($0, ":"); $0 = "origin=" substr($0, 1, at - 1) ",archive=" substr($0, at + 1) }
      count = split($0, part, ","); all = count > 0
      for (i = 1; i <= count; i++) {
        gsub(/^[ \t]+|[ \t]+$/, "", part[i]); at = index(part[i], "="); key = substr(part[i], 1, at - 1); value = substr(part[i], at + 1)
        if (key ~ /^(o|origin)$/) all = all && glob(is[1], value)
        else if (key ~ /^(l|label)$/) all = all && glob(is[2], value)
        else if (key ~ /^(n|codename)$/) all = all && glob(is[3], value)
        else if (key ~ /^(a|archive|suite)$/) all = all && glob(is[4], value)
        else if (key == "site") all = all && glob(is[5], value)
        else if (key ~ /^(c|component)$/) all = all && glob(is[6], value)
        else all = 0
      }
      if (all) found = 1
    }
    END { exit !found }'
}

origins() {
  all=$(settings_of_apt) || { echo "$all"; exit 2; }
  allowed=$(entries 'Allowed-Origins|Origins-Pattern')
  id=$(of_release ID) || fail "/etc/os-release cannot be read"
  case $id in debian) id=Debian ;; ubuntu) id=Ubuntu ;; esac
  codename=$(of_release VERSION_CODENAME)
  printf '%s\n' "$allowed" | grep -qi 'security' || bad "no origin of security updates is among those that are installed from"
  lists=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(CODENAME)|$(SUITE)|$(SITE)|$(COMPONENT)' 'Created-By: Packages' 2>/dev/null) || fail "apt does not tell its sources"
  # Ubuntu's archives of security are suites of the one origin, Debian's has a label.
  while IFS= read -r archive; do
    [ -z "$archive" ] || takes "$archive" || case $archive in
      Docker*) bad "Docker's repository is not among those that are installed from" ;;
      *) bad "the security archive $(echo "$archive" | cut -d '|' -f 5) ($(echo "$archive" | cut -d '|' -f 3,4 | tr '|' ' ')) is not among those that are installed from" ;;
    esac
  done <<END
$(printf '%s\n' "$lists" | sort -u | grep -e '^Docker|' -e '^Debian|Debian-Security|' -e '^Ubuntu|[^|]*|[^|]*|[^|]*-security|')
END
  installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^.i[^ ]* *//p' | sort -u)
  # Patterns count from the beginning of a name, and need not end with it.
  kept=$(entries Package-Blacklist | while IFS= read -r pattern; do
    case " $* " in *" $pattern "*) continue ;; esac
    names=$(printf '%s\n' "$installed" | grep -P -e "^(?:$pattern)" 2>/dev/null)
    [ $? -le 1 ] || { echo "Package-Blacklist has '$pattern', which is no pattern"; continue; }
    names=$(for name in $names; do case " $* " in *" $name "*) ;; *) echo "$name" ;; esac; done)
    [ -z "$names" ] || echo "Package-Blacklist '$pattern' keeps back $(printf '%s\n' "$names" | grep -c .) packages: $(printf '%s\n' "$names" | head -n 5 | tr '\n' ' ')"
  done)
  [ -z "$kept" ] || bad "$kept"
  only=$(entries Package-Whitelist | grep -vxF '.*' | head -n 3 | tr '\n' ' ')
  [ -z "$only" ] || bad "Package-Whitelist: only packages of these names are upgraded: $only"
  ! is_true "$(value Unattended-Upgrade::InstallOnShutdown)" || bad "InstallOnShutdown: nothing is installed while the host runs"
  finish "security updates are installed from $(printf '%s\n' "$allowed" | grep -c .) origins" "updates of some origins or packages are not installed"
}

pending() {
  newest=0
  for file in /var/lib/apt/lists/*Release /var/lib/apt/lists/*Packages* /var/lib/apt/periodic/update-success-stamp; do
    [ -e "$file" ] || continue
    at=$(stat -c %Y -- "$file")
    # Lists keep the time of the server; that of the directory is when apt looked.
    case $file in */periodic/*) [ "$at" -le "$newest" ] || newest=$at ;; *) some=1 ;; esac
  done
  [ -n "${some:-}" ] || { bad "apt has no lists of packages (apt-get update)"; finish "" "what is pending is not known"; }
  at=$(stat -c %Y /var/lib/apt/lists)
  [ "$at" -le "$newest" ] || newest=$at
  age=$((($(date +%s) - newest) / 86400))
  [ "$age" -le "${1:-7}" ] || bad "the lists of packages are $age days old"
  simulated=$(apt-get -s -qq -o Debug::NoLocking=1 -o APT::Get::Show-User-Simulation-Note=0 dist-upgrade 2>&1) || fail "apt does not tell what is pending: $(echo "$simulated" | tail -n 1)"
  updates=$(printf '%s\n' "$simulated" | grep '^Inst .*[Ss]ecurity' | sed 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1: \2 is a security update/')
  [ -z "$updates" ] || bad "$updates"
  finish "no security update is pending" "security updates are pending: $(printf '%s\n' "$updates" | grep -c .)"
}

reboot() {
  [ ! -e /run/reboot-required ] || bad "packages ask for a restart: $(sort -u /run/reboot-required.pkgs 2>/dev/null | tr '\n' ' ')"
  finish "no restart is due" "a restart is due"
}

sources() {
  all=$(settings_of_apt) || { echo "$all"; exit 2; }
  for key in APT::Get::AllowUnauthenticated Acquire::AllowInsecureRepositories Acquire::AllowWeakRepositories Acquire::AllowDowngradeToInsecureRepositories Acquire::Check-Valid-Until; do
    is=$(value "$key")
    case $key in
      *Check-Valid-Until) ! is_false "$is" || bad "$key is $is: an old list is taken for a new one" ;;
      *) ! is_true "$is" || bad "$key is $is: packages without signature are taken" ;;
    esac
  done
  # An inline key has lines of its own: a target begins with '@|'.
  targets=$(apt-get indextargets --format '@|$(SOURCESENTRY)|$(SITE) $(RELEASE)|$(ORIGIN)|$(TRUSTED)|$(SIGNED_BY)' 'Created-By: Packages' 2>/dev/null) || fail "apt does not tell its sources"
  lines=$(printf '%s\n' "$targets" | grep '^@|' | sort -u | awk -F'|' '
      NF < 6 { print $2 ": apt tells less of it than was asked"; next }
      $5 != "yes" { print $2 ": " $3 ": its lists are not signed or were never fetched" }
      $6 ~ /^\$\(/ && $4 !~ /^(Debian|Debian Backports|Ubuntu)$/ { print $2 ": " $3 " (" $4 ") has no Signed-By, so that any key of apt may sign it" }')
  [ -z "$lines" ] || bad "$lines"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    lines=$(unsigned "$file") || fail "$file cannot be read"
    keys=$(printf '%s\n' "$lines" | sed -n 's/^KEY //p' | while read -r where key; do
      if [ ! -s "$key" ]; then echo "$where: the key $key is not there"
      elif [ -n "$(find -L "$key" \( -perm /022 -o ! -user root \))" ]; then echo "$where: others than root write the key $key"; fi
    done)
    lines=$(printf '%s\n%s\n' "$(printf '%s\n' "$lines" | grep -v '^KEY ')" "$keys" | grep .)
    [ -z "$lines" ] || bad "$lines"
  done
  # A key here signs for every repository that has no Signed-By.
  for file in /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d/*.gpg /etc/apt/trusted.gpg.d/*.asc; do
    [ -s "$file" ] || continue
    case ${file##*/} in debian-archive-* | ubuntu-keyring-* | ubuntu-archive-*) continue ;; esac
    bad "$file: a key that may sign every repository without Signed-By"
  done
  finish "each source is signed, by a key of its own" "sources of packages that are not signed by a key of their own"
}

release() {
  id=$(of_release ID) || fail "/etc/os-release cannot be read"
  codename=$(of_release VERSION_CODENAME)
  table=/usr/share/distro-info/$id.csv
  [ -r "$table" ] || { echo "$table is not there (package distro-info-data)"; exit 77; }
  end=$(awk -F, -v codename="$codename" 'NR == 1 { for (at = 1; at <= NF; at++) column[$at] = at; next }
    $column["series"] == codename {
      last = $column["eol"]
      if (("eol-server" in column) && $column["eol-server"] > last) last = $column["eol-server"]
      if (("eol-lts" in column) && $column["eol-lts"] > last) last = $column["eol-lts"]
      print last }' "$table") || fail "$table cannot be read"
  [ -n "$end" ] || { echo "$table does not know $codename"; exit 77; }
  today=$(date -u +%Y-%m-%d)
  [ "$(printf '%s\n%s\n' "$today" "$end" | sort | head -n 1)" = "$today" ] || bad "$id $codename gets no security updates since $end"
  finish "$id $codename gets security updates until $end" "the release gets no security updates any more"
}

held() {
  held=$(apt-mark showhold) || fail "apt-mark does not tell what is held"
  for name in $held; do
    case " $* " in *" $name "*) ;; *) bad "$name: is held, and gets no security updates" ;; esac
  done
  finish "no package is held beyond those that are declared" "packages that are held"
}

what=${1:-}
[ $# -eq 0 ] || shift
case $what in
  settings | origins | pending | reboot | sources | release | held) "$what" "$@" ;;
  *) fail "updates.sh does not know '$what'" ;;
esac
