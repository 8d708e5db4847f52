#!/bin/sh
# Owners and modes of what belongs to Docker: nobody but root may write to it.
LC_ALL=C
export LC_ALL
[ -e /usr/bin/dockerd ] || [ -e /usr/sbin/dockerd ] || { echo 'there is no Docker here'; exit 77; }

# Each path that is there, with owner, group and mode: "PATH root root 644".
list() {
  for path in /etc/docker /etc/docker/daemon.json /etc/default/docker /etc/containerd /etc/containerd/config.toml \
    /usr/lib/systemd/system/docker.service /usr/lib/systemd/system/docker.socket /usr/lib/systemd/system/containerd.service \
    /etc/systemd/system/docker.service /etc/systemd/system/docker.service.d /etc/systemd/system/docker.service.d/*.conf \
    /etc/systemd/system/docker.socket /etc/docker/certs.d /etc/docker/certs.d/*/* /run/docker.sock /run/containerd/containerd.sock \
    /var/lib/docker /run/containerd; do
    [ -e "$path" ] || continue
    stat -L -c '%n %U %G %a' "$path" || return 3
  done
}

found=$(list 2>&1) || { printf '%s\n' "$found"; exit 3; }
printf '%s\n' "$found" | awk '
  # Whether a mode has no bit that the greatest one has not.
  function within(mode, most,  i, m, n) {
    mode = substr("0000" mode, length(mode) + 1)
    most = substr("0000" most, length(most) + 1)
    for (i = 1; i <= 4; i++) {
      m = substr(mode, i, 1) + 0; n = substr(most, i, 1) + 0
      if (int(m / 4) > int(n / 4) || int(m / 2) % 2 > int(n / 2) % 2 || m % 2 > n % 2) return 0
    }
    return 1
  }
  {
    path = $1; owner = $2; group = $3; mode = $4
    groups = "root"; most = "644"
    if (path == "/run/docker.sock") { groups = "docker"; most = "660" }
    else if (path ~ /\.sock$/) most = "660"
    else if (path ~ /\/certs\.d\/.*\.key$/) most = "400"
    else if (path ~ /\/certs\.d\/.*\./) most = "444"
    else if (path == "/var/lib/docker" || path == "/run/containerd") most = "711"
    else if (path ~ /^\/etc\/(docker|containerd|docker\/certs\.d|systemd\/system\/docker\.service\.d)$/ || path ~ /\/certs\.d\/[^\/]*$/) most = "755"
    if (owner != "root" || (group != groups && group != "root") || !within(mode, most)) {
      found++
      if (found <= 40) text = text path " is " owner ":" group " " mode ", at most root:" groups " " most "\n"
      short = short (found > 1 ? ", " : "") path
    }
  }
  END {
    if (!found) { print "all are root'"'"'s"; exit 0 }
    print found " open: " substr(short, 1, 200)
    printf "%s", text
    if (found > 40) print "and " found - 40 " more"
    exit 1
  }'
