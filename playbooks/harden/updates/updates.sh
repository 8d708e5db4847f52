#!/bin/sh
# Judges what apt itself makes of its sources and settings.
#
#   updates.sh settings | origins | pending DAYS | reboot | sources | release | held
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
settings_of_apt() { apt-config dump 2>/dev/null || fail "apt-config does not tell apt's settings"; }
# The last value of a setting, in what apt-config prints: names have no case.
value() {
  printf '%s\n' "$all" | awk -v key="$1" 'index(tolower($0), tolower(key) " \"") == 1 { sub(/^[^ ]+ "/, ""); sub(/";$/, ""); last = $0 } END { print last }'
}
# Whether apt takes a value for true, or for false (StringToBool of apt-pkg).
is_true() { case $1 in [Yy][Ee][Ss] | [Tt][Rr][Uu][Ee] | [Ww][Ii][Tt][Hh] | [Oo][Nn] | [Ee][Nn][Aa][Bb][Ll][Ee] | [1-9]* | 0[!0]*) ;; *) return 1 ;; esac; }
is_false() { case $1 in [Nn][Oo] | [Ff][Aa][Ll][Ss][Ee] | [Ww][Ii][Tt][Hh][Oo][Uu][Tt] | [Oo][Ff][Ff] | [Dd][Ii][Ss][Aa][Bb][Ll][Ee] | 0) ;; *) return 1 ;; esac; }
# The lines of a file of sources that take packages without signature, in either form;
# a field of the second may have its value on a line of its own.
unsigned() {
  awk '
    function judge(value) {
      gsub(/[ \t]/, "", value)
      if (value ~ /^(yes|true|with|on|enable|0*[1-9][0-9]*)$/) { print FILENAME ":" at ": takes packages without signature"; field = 0 }
    }
    { line = tolower($0) }
    FILENAME ~ /\.list$/ {
      if (line !~ /^[ \t]*deb(-src)?[ \t]+\[/) next
      at = FNR; sub(/^[^[]*\[/, "", line); sub(/\].*/, "", line)
      count = split(line, option, /[ \t]+/)
      for (i = 1; i <= count; i++) if (option[i] ~ /^(trusted|allow-insecure|allow-weak)[+-]?=/) { sub(/^[^=]*=/, "", option[i]); judge(option[i]) }
      next
    }
    line ~ /^#/ { next }
    line ~ /^[^ \t]/ { field = 0 }
    line ~ /^(trusted|allow-insecure|allow-weak)[ \t]*:/ { field = 1; at = FNR; sub(/^[^:]*:/, "", line) }
    field { judge(line) }' "$1"
}

settings() {
  all=$(settings_of_apt) || { echo "$all"; exit 2; }
  dpkg-query -W -f '${db:Status-Status}\n' unattended-upgrades 2>/dev/null | grep -qx installed || bad "the package unattended-upgrades is not installed"
  for key in Enable Update-Package-Lists Unattended-Upgrade; do
    is=$(value "APT::Periodic::$key")
    [ "$key" != Enable ] || is=${is:-1}
    case ${is:-0} in 0 | '') bad "APT::Periodic::$key is ${is:-not set}" ;; esac
  done
  if [ -d /run/systemd/system ]; then
    for timer in apt-daily.timer apt-daily-upgrade.timer; do
      systemctl is-active -q "$timer" || bad "$timer does not run"
      systemctl is-enabled -q "$timer" 2>/dev/null || bad "$timer does not start at boot"
    done
  fi
  finish "apt looks for updates and installs them by itself" "apt does not install updates by itself"
}

origins() {
  all=$(settings_of_apt) || { echo "$all"; exit 2; }
  allowed=$(printf '%s\n' "$all" | sed -n 's/^Unattended-Upgrade::\(Allowed-Origins\|Origins-Pattern\):: "\(.*\)";$/\2/p')
  printf '%s\n' "$allowed" | grep -qi 'security' || bad "no origin of security updates is among those that are installed from"
  lists=$(apt-get indextargets --format '$(ORIGIN)' 'Created-By: Packages' 2>/dev/null) || fail "apt does not tell its sources"
  if printf '%s\n' "$lists" | grep -qx Docker; then
    printf '%s\n' "$allowed" | grep -q 'Docker' || bad "Docker's repository is not among those that are installed from"
  fi
  finish "security updates are installed from $(printf '%s\n' "$allowed" | grep -c .) origins" "updates of some origins are not installed"
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
  id=$(sed -n 's/^ID="\{0,1\}\([a-z]*\)"\{0,1\}$/\1/p' /etc/os-release) || fail "/etc/os-release cannot be read"
  codename=$(sed -n 's/^VERSION_CODENAME="\{0,1\}\([a-z]*\)"\{0,1\}$/\1/p' /etc/os-release)
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
