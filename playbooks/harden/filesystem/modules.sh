#!/bin/sh
# Judges whether a kernel module can be loaded, as modprobe would do it.
#
#   modules.sh NAME…
set -u
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

command -v modprobe >/dev/null || { echo "this host has no modprobe"; exit 77; }
[ -d "/lib/modules/$(uname -r)" ] || { echo "this host has no modules of its kernel"; exit 77; }
found=
for name; do
  under=$(echo "$name" | tr - _)
  [ ! -d "/sys/module/$under" ] || [ ! -e "/sys/module/$under/refcnt" ] || found="$found$name: is loaded
"
  if said=$(modprobe -n -v "$name" 2>&1); then
    case $said in
      *'install /bin/false'* | *'install /bin/true'* | *'install /usr/bin/false'* | *'install /usr/bin/true'*) ;;
      *builtin* | '') [ ! -d "/sys/module/$under" ] || found="$found$name: is built into the kernel
" ;;
      *) found="$found$name: can be loaded
" ;;
    esac
  else
    case $said in
      *'not found'* | *'/bin/false'* | *'/bin/true'*) ;;
      *) echo "modprobe does not tell about $name: $said"; exit 2 ;;
    esac
  fi
done
[ -n "$found" ] || { echo "none of these can be loaded"; exit 0; }
echo "modules that can be loaded: $(printf '%s' "$found" | cut -d: -f1 | sort -u | tr '\n' ' ')"
printf '%s' "$found"
exit 1
