#!/bin/sh
# Writes the file system of a small image (this machine's static busybox) to
# standard output as a tar, for `docker import -`: no registry is needed.
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/etc" "$root/root" "$root/var/log" "$root/var/opt" "$root/usr/share" "$root/etc/periodic" "$root/home" "$root/usr/bin"
mkdir -m 1777 "$root/tmp"
busybox=$(command -v busybox)
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
echo nobody:x:65534:65534:nobody:/:/bin/false >>"$root/etc/passwd"
echo postgres:x:70:70:postgres:/var/lib/postgresql:/bin/sh >>"$root/etc/passwd"
printf 'root:x:0:\nnobody:x:65534:\npostgres:x:70:\n' >"$root/etc/group"
tar -C "$root" --owner=0 --group=0 --numeric-owner -c .
