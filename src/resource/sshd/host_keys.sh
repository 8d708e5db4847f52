# The host keys that sshd uses, and those at the usual places: on each line the
# file, a tab, and what ssh-keygen says of the key.
keys=$(/usr/sbin/sshd -T -C user=root,host=localhost,addr=127.0.0.1,lport=22 2>/dev/null | sed -n 's/^hostkey //p')
IFS='
'
for key in $keys /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_rsa_key; do
  said=$(ssh-keygen -l -f "$key" 2>/dev/null) && printf '%s\t%s\n' "$key" "$said"
done
:
