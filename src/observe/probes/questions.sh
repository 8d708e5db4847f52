# The questions of a probe, a function each (`q_…`), and `section`, which frames an
# answer. Set before this text: N, the nonce.
exec 3>&1
section() {
  printf '\n%s:%s\n' "$N" "$1"
  shift
  e=$("$@" 2>&1 >&3 3>&- </dev/null); r=$?
  printf '\n%s!%s\n%s\n' "$N" "$r" "$e"
}
q_find() { xargs -0 -r sh -c 'exec find "$@" -maxdepth 0 -printf "%p\0%y\0%m\0%u:%U\0%g:%G\0%l\0%s:%n\0"' find; }
q_files() { xargs -0 -r sh -c 'exec find "$@" -maxdepth 0 -type f -print0' find; }
q_small() { xargs -0 -r sh -c 'exec find "$@" -maxdepth 0 -type f -size -4194305c -print0' find; }
q_sum() { q_files | xargs -0 -r sha256sum -z --; }
q_tar() { q_small | tar -c -f - -P --hard-dereference --no-recursion --format=gnu --null -T -; }
q_flags() { xargs -0 -r lsattr -d -- 2>/dev/null; :; }
q_names() { xargs -0 -r sh -c 'exec find "$@" -mindepth 1 -maxdepth 1 -printf "%H\0%f\0"' find; }
# Directories that are not there have no fragments; the test needs no process.
q_fragments() { xargs -0 -r sh -c 'n=$#; while [ "$n" -gt 0 ]; do d=$1; shift; n=$((n-1)); [ ! -d "$d" ] || set -- "$@" "$d"; done
  [ $# -eq 0 ] || exec find -L "$@" -mindepth 1 -maxdepth 1 \( -type f -size -4194305c -o -type c \) -print0' find |
  tar -c -f - -P -h --hard-dereference --no-recursion --format=gnu --null -T -; }
q_tree() { xargs -0 -r sh -c 'exec find "$@" -xdev -printf "%H\0%P\0%y\0%m\0%u:%U\0%g:%G\0%D\0"' find; }
q_trees() { xargs -0 -r sh -c 'exec find "$@" -printf "%H\0%P\0%y\0%m\0%u:%U\0%g:%G\0%D\0"' find; }
q_local() { awk -F: '{ print FILENAME ":" $1 }' /etc/passwd /etc/group; }
q_units() {
  if [ -d /run/systemd/system ]; then
    o=$(systemctl show -p Id -p LoadState -p ActiveState -p UnitFileState -p NeedDaemonReload -p FragmentPath -p SourcePath -p DropInPaths -p Result -p ExecMainStatus \
      -p Type -p CanReload -p RemainAfterExit -p RequiredBy -p RequisiteOf -p BoundBy -p ConsistsOf -p PropagatesStopTo -p Conflicts -p ConflictedBy -p Requires -p BindsTo -p WantedBy -p UpheldBy -p TriggeredBy -p Triggers -p Accept -- "$@")
    printf '%s\n' "$o"
    # A unit that is not enabled has no links by its aliases: its file tells them.
    case $o in *LoadState=not-found*) printf -- '--\n'
      grep -s '^Alias=' /etc/systemd/system/*.* /usr/local/lib/systemd/system/*.* /usr/lib/systemd/system/*.* /lib/systemd/system/*.*;; esac
    case $o in *LoadState=loaded*) q_unit_files "$o";; esac
    case $o in *SourcePath=/etc/init.d/*) q_rc_links;; esac; :
  else i=; for u in "$@"; do s=$(systemctl is-enabled -- "$u" 2>/dev/null) p=
    case $s in ''|not-found) l=not-found; s=;; masked) l=masked;; *) l=loaded;; esac
    if [ "$l" != masked ] && [ -f "/etc/init.d/${u%.service}" ] && ! has_file "$u"; then l=loaded i=1 p=/etc/init.d/${u%.service}; fi
    printf 'Id=%s\nLoadState=%s\nActiveState=inactive\nUnitFileState=%s\nNeedDaemonReload=no\nFragmentPath=\nSourcePath=%s\nDropInPaths=\nAlso=%s\n\n' "$u" "$l" "$s" "$p" "$(q_also "$u")"
  done; [ -z "$i" ] || q_rc_links; fi
}
# Whether there is a file of a unit's own, which comes before a script of its name.
has_file() { [ -e "/etc/systemd/system/$1" ] || [ -e "/usr/local/lib/systemd/system/$1" ] || [ -e "/usr/lib/systemd/system/$1" ] || [ -e "/lib/systemd/system/$1" ]; }
# By these scripts of /etc/init.d start at boot.
q_rc_links() { printf -- '==\n'; find /etc/rc[0-6S].d -maxdepth 1 -type l -printf '%p\t%l\n' 2>/dev/null; :; }
# What is enabled together with a unit, by the first of its files.
q_also() { for d in /etc/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    if [ -f "$d/$1" ]; then sed -n 's/^Also[[:blank:]]*=//p' "$d/$1" | tr '\n' ' '; return; fi
  done; }
# Of the files of units: those that do not run and have conditions or assertions, and
# after a tab what Also= names.
q_unit_files() { printf -- '++\n'
  printf '%s\n' "$1" | awk -v RS= -F '\n' '/LoadState=loaded/ { u = ""; p = ""
    for (i = 1; i <= NF; i++) { if ($i ~ /^Id=/) u = substr($i, 4); if ($i ~ /^(FragmentPath|DropInPaths)=\//) { sub(/^[^=]*=/, "", $i); p = p " " $i } }
    n = split(p, f, " "); has = 0; also = ""
    for (i = 1; i <= n; i++) { while ((getline l <f[i]) > 0) {
      if (l ~ /(^|\n)[ \t]*(Condition|Assert)[A-Za-z]+[ \t]*=/) has = 1
      if (l ~ /(^|\n)[ \t]*Also[ \t]*=/) { gsub(/\\\n/, " ", l); m = split(l, a, "\n"); for (j = 1; j <= m; j++) if (sub(/^[ \t]*Also[ \t]*=/, "", a[j])) also = also " " a[j] }
    } close(f[i]) }
    if (has && /ActiveState=inactive/) print u
    if (also) printf "%s\t%s\n", u, also }'
}
q_sysctl() { n=$#
  while [ "$n" -gt 1 ]; do k=$1 f=$2; shift 2; n=$((n-2)); [ ! -e "$f" ] || set -- "$@" "$k" "$f"; done
  # The kernel gives a list of numbers to one read only; dash reads byte by byte.
  [ $# -eq 0 ] || awk 'BEGIN { for (i = 1; i < ARGC; i += 2) { v = ""; f = ARGV[i + 1]
    if ((getline v <f) < 0) printf "%s: cannot be read\n", ARGV[i] >"/dev/stderr"
    else printf "%s%c%s%c", ARGV[i], 0, v, 0
    close(f) } }' "$@"; }
# Of the files of a name in all directories of interfaces: the question's number, the interface, the value.
q_sysctls() { m=0 n=$#
  while [ "$n" -gt 1 ]; do
    d=$1 k=$2; shift 2; n=$((n-2))
    for f in "$d"/*/"$k"; do
      i=${f%/*} i=${i##*/}
      case $i in all | default) ;; *) [ ! -e "$f" ] || set -- "$@" "$m" "$i" "$f" ;; esac
    done
    m=$((m+1))
  done
  [ $# -eq 0 ] || awk 'BEGIN { for (i = 1; i < ARGC; i += 3) { v = ""; f = ARGV[i + 2]
    if ((getline v <f) >= 0) printf "%s%c%s%c%s%c", ARGV[i], 0, ARGV[i + 1], 0, v, 0
    close(f) } }' "$@"; }
# The mode of such a file binds root too, and so does a file system that is read-only.
q_fixed() { while [ $# -gt 1 ]; do [ ! -e "$2" ] || [ -w "$2" ] || printf '%s\0' "$1"; shift 2; done; }
q_provided() { dpkg-query -W -f '${db:Status-Status}\t${binary:Package}\t${Provides}\n'; }
q_installed() {
  dpkg-query -W -f '${binary:Package}\t${Architecture}\t${Version}\t${db:Status-Status}\t${db:Status-Want}\n' || return
  printf '%s\n' --
  q_automatic
}
q_automatic() {
  [ ! -e /var/lib/apt/extended_states ] || awk '/^Package:/ { p = $2 } /^Architecture:/ { a = $2 }
    /^Auto-Installed: 1/ { print p ":" a }' /var/lib/apt/extended_states
}
# One search where there is nothing, as nearly always.
q_unfinished() {
  s=/var/lib/dpkg/status
  ! grep -q -e '^Status: [a-z]* reinstreq ' -e '^Status: [a-z]* ok \(unpacked\|half-\|triggers-\)' "$s" || awk '/^Package:/ { p = $2 }
    /^Status:/ && ($3 == "reinstreq" || $4 ~ /^(unpacked|half-|triggers-)/) { print p "\t" $3 "\t" $4 }' "$s"
}
# Without what is large and no step's.
# shellcheck disable=SC2062 # the patterns come with -f
q_shipped() {
  f=$1
  shift
  dpkg-query -W -f "$f" -- "$@" 2>/dev/null |
    sed -e '/^ \/usr\/share\/\(doc\|man\|locale\)\//d' -e '/^ \/usr\/\(src\|include\)\//d' -e '/^ \(\/usr\)\?\/lib\/modules\//d'
  # Its directories, and how many packages have each.
  { for n; do cat "/var/lib/dpkg/info/$n.list" "/var/lib/dpkg/info/$n":*.list; done 2>/dev/null; q_scripts "$@" | cut -f 3; } |
    sort -u | while IFS= read -r p; do [ ! -d "$p" ] || printf '%s\n' "$p"; done |
    grep -Fxh -f - /var/lib/dpkg/info/*.list | sort | uniq -c | awk '{ n = $1; sub(/^ *[0-9]+ /, ""); print "D\t" n "\t" $0 }'
  q_scripts "$@"
}
# The paths that scripts name which run after a removal.
q_scripts() {
  for n; do
    for f in "/var/lib/dpkg/info/$n.postrm" "/var/lib/dpkg/info/$n":*.postrm; do
      [ ! -f "$f" ] || sed 's/^[[:space:]]*#.*//' "$f" | grep -oE '/(etc|home|opt|root|run|srv|usr|var)/[A-Za-z0-9._+@/-]*[A-Za-z0-9]' |
        sort -u | awk -v n="$n" '{ print "R\t" n "\t" $0 }'
    done
  done
}
# What apt writes of its marks goes to a copy.
# shellcheck disable=SC2046 # each package is a word
q_transaction() {
  d=$(mktemp -d) || return
  cat /var/lib/apt/extended_states >"$d/marks" 2>/dev/null || :
  s=/var/lib/dpkg/status
  l=
  for w; do case $w in Stockade::Released::=*) l="$l ${w#*=}";; esac; done
  if [ -n "$l" ]; then
    awk -v l="$l" 'BEGIN { n = split(l, a, " "); for (i = 1; i <= n; i++) free[a[i]] }
      /^Package:/ { p = $2 } /^Status: hold / && p in free { sub(/hold/, "install") } { print }' "$s" >"$d/status"
    s=$d/status
  fi
  apt-get -s -y -q -o Debug::NoLocking=1 -o Dir::State::extended_states="$d/marks" -o APT::Get::AutomaticRemove=false \
    -o APT::Cmd::Pattern-Only=true -o Dir::State::status="$s" ${l:+-o Dir::Cache::pkgcache=} "$@" >"$d/out"
  r=$?
  cat "$d/out"
  if [ "$r" = 0 ]; then
    set -- $(awk '$1 == "Inst" { v = $3 ~ /^\[/ ? $4 : $3; sub(/^\(/, "", v); print $2 "=" v }' "$d/out")
    [ $# -eq 0 ] || apt-cache show -- "$@" 2>/dev/null >"$d/new"
    set -- $(awk '$1 == "Remv" || $1 == "Purg" || $1 == "Inst" && $3 ~ /^\[/ { print $2 }' "$d/out" | sort -u)
    [ $# -eq 0 ] || dpkg-query -W -f 'Old: ${Installed-Size}\n' -- "$@" >"$d/old" 2>/dev/null
    cat "$d/new" "$d/old" 2>/dev/null | awk '/^Package:/ { p = $2 } /^Architecture:/ { a = $2 } /^Version:/ { v = $2 }
      /^Size:/ { s = $2 } /^Installed-Size:/ { i = $2 } /^Old:/ { old += $2 }
      /^$/ && p != "" { if (!((p, a, v) in seen)) { seen[p, a, v] = 1; size += s; new += i }; p = ""; s = i = 0 }
      END { printf "Sizes %.0f %.0f %.0f\n", size, new, old }'
  fi
  rm -rf -- "$d"
  return "$r"
}
q_modules() { cut -d ' ' -f 1 /proc/modules; printf '%s\n' --; cat "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null; :; }
# Keeps the script $2 under the number $1.
q_text() { eval "text$1=\$2"; }
q_joined() { "$@" 2>&1; }
# Runs the script of the number $2 with the arguments after it; $1 is its section.
q_script() { s=$1 t=; eval "t=\$text$2"; shift 2; section "$s" q_joined timeout -k 5 60 sh -c "$t" sh "$@"; }
