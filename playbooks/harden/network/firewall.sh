#!/bin/sh
# The firewall as the kernel has it. $1: one, policy or docker.
LC_ALL=C
export LC_ALL

# The rules of a chain, by iptables or ip6tables; what it says if it cannot tell.
rules() {
  "$1" -w -S "$2" 2>&1
}

# Whether IPv6 is spoken here.
v6() {
  [ -s /proc/net/if_inet6 ]
}

unreadable() {
  printf '%s\n' "$1"
  exit 3
}

one() {
  found=
  units='nftables.service firewalld.service netfilter-persistent.service'
  # shellcheck disable=SC2086
  states=$(systemctl is-active $units 2>/dev/null)
  [ -n "$states" ] || unreadable 'systemctl tells no state of units'
  for unit in $units; do
    state=${states%%
*}
    states=${states#*
}
    [ "$state" != active ] || found="$found ${unit%.service}"
  done
  if grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf; then
    out=$(rules iptables INPUT) || unreadable "$out"
    case $out in
      *ufw-before-input*) found="$found ufw" ;;
      *) echo 'ufw is enabled, but its rules are not loaded: ufw reload' && exit 1 ;;
    esac
  fi
  # shellcheck disable=SC2086
  set -- $found
  case $# in
    0) echo 'no firewall is active' && exit 1 ;;
    1) echo "$1 is active" && exit 0 ;;
    *) echo "$# firewalls are active:$found" && exit 1 ;;
  esac
}

# Whether a packet that no narrower rule lets in is denied by INPUT: rules without a
# condition decide, in chains that are jumped to as well; then the policy does. $1: all
# chains as iptables -S tells them.
denies() {
  printf '%s\n' "$1" | awk '
    $1 == "-P" && $2 == "INPUT" { policy = $3 }
    $1 == "-A" {
      chain = $2; rule = $0; sub(/^-A [^ ]+ ?/, "", rule)
      gsub(/-m comment --comment ("[^"]*"|[^ ]+) ?/, "", rule)
      rules[chain, ++count[chain]] = rule
    }
    # Where some packets return before, a denial of the rest says nothing of those.
    function walk(chain, depth,  at, rule, said, some) {
      for (at = 1; depth < 20 && at <= count[chain]; at++) {
        rule = rules[chain, at]
        # All of TCP, or of UDP, is as much as everything.
        if (rule ~ /^(-p (tcp|udp) )?-j ACCEPT$/) return "accept"
        if (rule ~ /^-j (DROP|REJECT)/) return some && depth ? "" : "deny"
        if (rule ~ /^-j RETURN$/) return ""
        if (rule ~ /-j RETURN$/) some = 1
        if (rule !~ /^-[jg] [^ ]+$/) continue
        said = walk(substr(rule, 4), depth + 1)
        if (said != "" || rule ~ /^-g/) return said
      }
      return ""
    }
    END { said = walk("INPUT", 0); exit !(said == "deny" || said == "" && policy == "DROP") }'
}

# The families whose input is denied by nftables, judged in the same way.
nft_denies() {
  nft list ruleset 2>/dev/null | awk '
    /^table / { family = $2; table = $2 " " $3 }
    /^\tchain / { chain = table " " $2; input = 0 }
    /hook input/ { bases[++total] = chain; of[chain] = family; policy[chain] = /policy drop/ ? "deny" : "accept"; next }
    /^\t\t/ {
      rule = $0; sub(/^[ \t]+/, "", rule); gsub(/ ?comment "[^"]*"/, "", rule)
      gsub(/counter packets [0-9]+ bytes [0-9]+ ?/, "", rule)
      sub(/^log( prefix "[^"]*")?( (level|flags|group|snaplen|queue-threshold) [^ ]+)* ?/, "", rule)
      sub(/ $/, "", rule)
      rules[chain, ++count[chain]] = rule
    }
    function walk(table, chain, depth,  at, rule, said, some) {
      for (at = 1; depth < 20 && at <= count[chain]; at++) {
        rule = rules[chain, at]
        if (rule ~ /^((meta l4proto|ip protocol|ip6 nexthdr) (tcp|udp) )?accept$/) return "accept"
        if (rule ~ /^(drop|reject)/) return some && depth ? "" : "deny"
        if (rule == "return") return ""
        if (rule ~ / return$/) some = 1
        if (rule !~ /^(jump|goto) [^ ]+$/) continue
        said = walk(table, table " " substr(rule, 6), depth + 1)
        if (said != "" || rule ~ /^goto/) return said
      }
      return ""
    }
    END {
      for (at = 1; at <= total; at++) {
        chain = bases[at]; split(chain, part, " ")
        said = walk(part[1] " " part[2], chain, 0)
        if (said == "deny" || said == "" && policy[chain] == "deny") print of[chain]
      }
    }'
}

policy() {
  native=
  command -v nft >/dev/null && native=$(nft_denies)
  tools=iptables
  if v6; then tools='iptables ip6tables'; fi
  bad=
  for tool in $tools; do
    case $tool in iptables) family=ip name=IPv4 ;; *) family=ip6 name=IPv6 ;; esac
    if printf '%s\n' "$native" | grep -qxE "inet|$family"; then continue; fi
    if command -v "$tool" >/dev/null; then
      out=$("$tool" -w -S 2>&1) || unreadable "$out"
      denies "$out" && continue
      case $out in
        *'-P INPUT DROP'*) bad="$bad$name: a rule without a condition lets everything in, before -P INPUT DROP
" ;;
        *) bad="$bad$name: $(printf '%s\n' "$out" | grep '^-P INPUT ')
" ;;
      esac
    else
      bad="$bad$name: neither $tool nor nft denies anything
"
    fi
  done
  [ -n "$bad" ] || { echo 'connections from outside are denied unless a rule allows them'; exit 0; }
  echo 'connections from outside are let in by default'
  printf '%s' "$bad"
  exit 1
}

# Whether DOCKER-USER denies what no earlier rule returned.
drops() {
  printf '%s\n' "$1" | awk '
    !/^-A DOCKER-USER / { next }
    { rule = $0; sub(/^-A DOCKER-USER /, "", rule) }
    rule ~ /^(! )?(-i [^ ]+ )?-j (DROP|REJECT)/ { found = 1; exit }
    rule ~ /^-j (RETURN|ACCEPT)/ { exit }
    END { exit !found }'
}

docker() {
  [ "$(systemctl is-active docker.service 2>/dev/null)" = active ] || { echo 'Docker does not run here'; exit 77; }
  if command -v nft >/dev/null && nft list tables 2>/dev/null | grep -q ' docker-bridges$'; then
    echo 'Docker filters by nftables here, where there is no chain DOCKER-USER'
    exit 1
  fi
  tools=iptables
  if v6; then tools='iptables ip6tables'; fi
  bad=
  for tool in $tools; do
    case $tool in iptables) name=IPv4 ;; *) name=IPv6 ;; esac
    command -v "$tool" >/dev/null || unreadable "$tool is not installed"
    forward=$(rules "$tool" FORWARD) || unreadable "$forward"
    # Docker may leave IPv6 alone: its proxy is then an ordinary listener.
    case $forward in
      *'-A FORWARD -j DOCKER-USER'*) ;;
      *'-j DOCKER'* | *docker0*) bad="$bad$name: FORWARD does not ask DOCKER-USER
" ;;
      *) [ "$tool" = ip6tables ] || bad="$bad$name: FORWARD has no rules of Docker
" ;;
    esac
    chain=$(rules "$tool" DOCKER-USER) || chain=
    drops "$chain" || bad="$bad$name: DOCKER-USER denies nothing
"
  done
  [ -n "$bad" ] || { echo 'published ports are denied unless they are declared'; exit 0; }
  echo 'published ports pass by the firewall'
  printf '%s' "$bad"
  exit 1
}

case $1 in
  one) one ;;
  policy) policy ;;
  docker) docker ;;
  *) unreadable "unknown question '$1'" ;;
esac
