#!/bin/sh
# Judges the options with which a directory is mounted now, and those that
# /etc/fstab gives it at the next boot.
#
#   mounts.sh DIRECTORY OPTION…
set -u
export LC_ALL=C

directory=${1:?}
shift
[ -r /proc/self/mounts ] || { echo "/proc/self/mounts cannot be read"; exit 2; }
options() { awk -v at="$directory" '$0 !~ /^[ \t]*#/ && $2 == at { last = $4 } END { print last }' "$1"; }
live=$(options /proc/self/mounts) || { echo "/proc/self/mounts cannot be read"; exit 2; }
if [ -z "$live" ]; then
  case $directory in
    /tmp | /dev/shm) echo "$directory is no file system of its own, and has the options of the one that it is on"; exit 1 ;;
    *) echo "$directory is no file system of its own"; exit 77 ;;
  esac
fi
boot=
[ ! -r /etc/fstab ] || boot=$(options /etc/fstab)
found=
for option; do
  case ",$live," in *",$option,"*) ;; *) found="$found$directory is mounted without $option now ($live)
" ;; esac
  [ -n "$boot" ] || continue
  case ",$boot," in *",$option,"*) ;; *) found="$found/etc/fstab mounts $directory without $option ($boot)
" ;; esac
done
[ -n "$found" ] || { echo "$directory is mounted with $live"; exit 0; }
echo "$directory is not mounted as demanded"
printf '%s' "$found"
exit 1
