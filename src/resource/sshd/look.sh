# What sshd does: "== user NAME" and the output of its extended test mode for each
# who is judged, "*" for whoever no Match block names, then "== login NAME" with the
# groups of who logs in, the primary one first. "== absent" where there is no sshd,
# "== failed" and the reason where it refuses its configuration. A configuration
# with "Match LocalPort" can be asked about with a port only.
sshd=/usr/sbin/sshd
[ -x "$sshd" ] || { echo '== absent'; exit 0; }
options=$(sed -n 's/^[[:blank:]]*SSHD_OPTS=//p' /etc/default/ssh 2>/dev/null | tail -n 1 | tr -d "\"'")
set -f
last=
for user in '*' root ${SUDO_USER:+"$SUDO_USER"}; do
  [ "$user" != "$last" ] || continue
  last=$user
  case $user in
    '*') client=lport=1 ;;
    *) client=user=$user,host=localhost,addr=127.0.0.1,lport=22 ;;
  esac
  if said=$("$sshd" $options -T -C "$client" 2>/dev/null); then
    printf '== user %s\n%s\n' "$user" "$said"
  else
    echo '== failed'
    { "$sshd" $options -T -C "$client" >/dev/null; } 2>&1
    exit 0
  fi
done
printf '== login %s\n' "$last"
id -Gnz -- "$last" 2>/dev/null | tr '\0' '\n'
