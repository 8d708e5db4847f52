# What decides whether the next login comes to a command.

# A login proves what is live; what is enabled decides about the next boot.
lasts() {
  [ ! -e "$K/starts" ] || sshd_starts || { echo "sshd cannot be started any more: its program or a library of it is not as it was"; return 1; }
  [ ! -e "$K/boots" ] || boots_sshd || { echo "neither ssh.socket nor ssh.service is enabled any more: no sshd would start at the next boot"; return 1; }
}
# reaches_a_command USER: whether the user's login shell comes to its first command
# after all that it reads before. What other shells do with these options is not known.
reaches_a_command() {
  e=$(getent passwd -- "$1") || return 1
  g=$(printf '%s' "$e" | cut -d : -f 4) h=$(printf '%s' "$e" | cut -d : -f 6) s=${e##*:}
  case ${s##*/} in sh | bash | dash | zsh | ksh | mksh | fish) ;; *) return 1;; esac
  # No pipe: what a shell leaves behind may hold it open for longer.
  (cd "$h" 2>/dev/null || :; timeout -k 1 10 setsid -w setpriv --reuid "$1" --regid "$g" --init-groups --reset-env -- \
    "$s" -l -i -c 'echo reached-"a"-command' >"$K/reached" 2>/dev/null </dev/null) || :
  grep -q reached-a-command "$K/reached"
}
# The login that confirms runs one command, and so reads less than the operator's next one.
shells() { [ -z "$LOGIN" ] || printf '%s\n' "$LOGIN" root | sort -u; }
keep_shells() { for u in $(shells); do ! reaches_a_command "$u" || : >"$K/$u.shell"; done; }
still_reach() {
  for u in $(shells); do
    [ ! -e "$K/$u.shell" ] || reaches_a_command "$u" ||
      { echo "no new login would come to a command: the login shell of $u ends before its first one, by what it reads, such as /etc/profile"; return 1; }
  done
}
