#!/bin/sh
# Judges what the kernel does on each interface, from its live parameters
# (Documentation/networking/ip-sysctl.rst tells how 'all' and the interface's own
# value are taken together).
#
#   network.sh forwarding | redirects | sources | advertisements
set -u
export LC_ALL=C
v4=/proc/sys/net/ipv4/conf
v6=/proc/sys/net/ipv6/conf

# Values of these parameters of all interfaces, as lines PATH:VALUE. One that went
# away meanwhile is passed over.
values() {
  family=$1
  shift
  for name; do
    set -- "$family"/*/"$name"
    [ ! -e "$1" ] || grep -s . "$@"
  done
}

# Reads such lines; a finding for each line that the rule prints.
judge() {
  awk -F: -v v4="$v4/" -v v6="$v6/" "
    { n = split(\$1, part, \"/\"); name = part[n - 1]; family = index(\$1, v4) == 1 ? 4 : 6
      value[family, part[n], name] = \$2
      if (!((family, name) in seen)) { seen[family, name] = 1; order[++count] = family SUBSEP name } }
    function own(key) { return value[f, key, i] + 0 }
    function all(key) { return value[f, key, \"all\"] + 0 }
    function either(key) { return own(key) || all(key) }
    function both(key) { return own(key) && all(key) }
    function bad(what, key) { found[++bads] = i \": \" what \" (\" (f == 4 ? v4 : v6) i \"/\" key \" = \" own(key) \", all = \" all(key) \")\" }
    END {
      if (!count) { print \"the kernel tells no parameters of interfaces\"; exit 2 }
      for (place = 1; place <= count; place++) {
        split(order[place], part, SUBSEP); f = part[1]; i = part[2]
        if (i != \"all\") { $1 }
      }
      if (!bads) { print \"every interface is as it should be\"; exit 0 }
      print bads (bads == 1 ? \" interface or direction is\" : \" interfaces or directions are\") \" not as demanded\"
      for (at = 1; at <= bads && at <= 40; at++) print found[at]
      if (bads > 40) print \"and \" bads - 40 \" more\"
      exit 1
    }"
}

forwarding() {
  # Of IPv4 the value of the interface that a packet comes in by counts alone; of IPv6 that of 'all'.
  [ -e $v4/all/forwarding ] || { echo "the kernel does not tell whether it forwards"; exit 2; }
  on=$({ values $v4 forwarding; grep -s . $v6/all/forwarding; } | grep .) || {
    echo "the kernel does not tell whether it forwards"
    exit 2
  }
  on=$(printf '%s\n' "$on" | sed -n '/:0$/!s/:/ = /p' | tr '\n' ' ')
  if [ -z "$on" ]; then echo "nothing is forwarded"; exit 0; fi
  for program in /usr/bin/dockerd /snap/bin/docker /usr/bin/podman /usr/bin/containerd /usr/bin/kubelet /usr/local/bin/k3s /usr/sbin/libvirtd /snap/bin/lxd /usr/bin/incusd /usr/bin/wg-quick /usr/sbin/openvpn /usr/sbin/tailscaled; do
    [ ! -x "$program" ] || needed="${needed:+$needed, }${program##*/}"
  done
  if [ -n "${needed:-}" ]; then echo "packets are forwarded, which is needed by $needed: $on"; exit 0; fi
  echo "packets are forwarded, and no known program of this host needs it: $on"
  exit 1
}

# A host takes an IPv4 redirect if either value says so, a router if both do;
# of IPv6 the interface's own value counts alone.
redirects() {
  { values $v4 accept_redirects send_redirects forwarding; values $v6 accept_redirects; } | judge '
    if (f == 4 && (own("forwarding") ? both("accept_redirects") : either("accept_redirects"))) bad("IPv4 redirects are taken", "accept_redirects")
    if (f == 4 && either("send_redirects")) bad("IPv4 redirects are sent", "send_redirects")
    if (f == 6 && own("accept_redirects")) bad("IPv6 redirects are taken", "accept_redirects")'
}

# Of IPv6 source routes, a value below 0 and 0 take none but those of mobile IPv6.
sources() {
  { values $v4 accept_source_route rp_filter log_martians; values $v6 accept_source_route; } | judge '
    if (i == "lo" || i == "default") continue
    if (f == 4 && both("accept_source_route")) bad("IPv4 source routes are taken", "accept_source_route")
    if (f == 4 && !either("rp_filter")) bad("forged senders are not dropped", "rp_filter")
    if (f == 4 && !either("log_martians")) bad("impossible senders are not logged", "log_martians")
    if (f == 6 && own("accept_source_route") > 0 && all("accept_source_route") > 0) bad("IPv6 source routes are taken", "accept_source_route")'
}

# With 1 they are taken while the interface does not forward, with 2 always.
advertisements() {
  [ -d $v6 ] || { echo "this host has no IPv6"; exit 77; }
  values $v6 accept_ra disable_ipv6 forwarding | judge '
    if (i != "lo" && !own("disable_ipv6") && (own("accept_ra") > 1 || own("accept_ra") == 1 && !own("forwarding"))) bad("router advertisements are taken", "accept_ra")'
}

case ${1:-} in
  forwarding | redirects | sources | advertisements) "$1" ;;
  *) echo "usage: network.sh forwarding|redirects|sources|advertisements"; exit 2 ;;
esac
