#!/bin/sh
# Units that run or start at boot and nobody declared. $1: old for protocols
# that nothing should speak, others for further services; then declared units.
LC_ALL=C
export LC_ALL
case $1 in
  old) units='telnet.socket inetd.service openbsd-inetd.service inetutils-inetd.service xinetd.service rsh.socket rlogin.socket rexec.socket talk.socket ntalk.socket finger.socket tftp.socket tftpd-hpa.service atftpd.service atftpd.socket nis.service ypserv.service ypbind.service' ;;
  others) units='autofs.service avahi-daemon.service avahi-daemon.socket isc-dhcp-server.service isc-dhcp-server6.service kea-dhcp4-server.service kea-dhcp6-server.service named.service bind9.service unbound.service dnsmasq.service vsftpd.service proftpd.service pure-ftpd.service slapd.service dovecot.service dovecot.socket nfs-server.service cups.service cups.socket rpcbind.service rpcbind.socket rsync.service smbd.service nmbd.service snmpd.service squid.service gdm.service gdm3.service lightdm.service' ;;
  *) echo "unknown question '$1'" && exit 3 ;;
esac
shift
# Both answer for every unit in its order; their exit codes are of no use here.
# shellcheck disable=SC2086
states=$(systemctl show -p Id -p ActiveState -p UnitFileState $units 2>&1) || { printf '%s\n' "$states"; exit 3; }
printf '%s\n' "$states" | awk -v declared="$*" '
  BEGIN {
    count = split(declared, words, " ")
    for (i = 1; i <= count; i++) known[words[i] ~ /\./ ? words[i] : words[i] ".service"] = 1
  }
  function judge() {
    if (id == "" || id in known || id in seen) return
    seen[id] = 1
    why = active == "active" ? "runs" : file == "enabled" ? "starts at boot" : ""
    if (why == "") return
    found++
    text = text id " " why "\n"
    short = short (found > 1 ? ", " : "") id
  }
  /^Id=/ { id = substr($0, 4) }
  /^ActiveState=/ { active = substr($0, 13) }
  /^UnitFileState=/ { file = substr($0, 15) }
  /^$/ { judge(); id = active = file = "" }
  END {
    judge()
    if (!found) { print "none of them runs"; exit 0 }
    print found " not declared: " short
    printf "%s", text
    exit 1
  }'
