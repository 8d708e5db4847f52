#!/bin/sh
# Whether kernel modules are kept out: neither loaded nor loadable nor built in.
LC_ALL=C
export LC_ALL
bad=
[ -e /proc/modules ] || { echo 'the kernel loads no modules'; exit 77; }
[ -r /proc/modules ] || { echo '/proc/modules cannot be read'; exit 3; }
command -v modprobe >/dev/null || { echo 'this host has no modprobe'; exit 77; }
builtin=/lib/modules/$(uname -r)/modules.builtin
for module in "$@"; do
  if grep -qs "/$module\.ko" "$builtin"; then
    bad="$bad$module is built into the kernel
"
  elif grep -q "^$module " /proc/modules; then
    bad="$bad$module is loaded
"
  elif command=$(modprobe -n -v "$module" 2>&1); then
    case $command in
      *'install /bin/false'* | *'install /bin/true'* | *'install /usr/bin/false'* | *'install /usr/bin/true'*) ;;
      *) bad="$bad$module can be loaded: $command
" ;;
    esac
  else
    case $command in
      *'not found'* | *'/bin/false'* | *'/bin/true'*) ;;
      *) printf 'modprobe does not tell about %s: %s\n' "$module" "$command" && exit 3 ;;
    esac
  fi
done
[ -n "$bad" ] || { echo 'none can be loaded'; exit 0; }
printf '%s' "$bad" | sed -n '1s/^/not kept out: /p'
printf '%s' "$bad"
exit 1
