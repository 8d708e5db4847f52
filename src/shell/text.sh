# Every text of an operator's is run here: by sh -e, so that the first command
# that fails ends it and what that gave is its result.
# run_text USER-OR-EMPTY WORDS...: WORDS are those of sh(1), a file or -c and the
# text, and its arguments. LIMIT: seconds that it may take, if it is set.
run_text() {
  u=$1
  shift
  set -- sh -e "$@"
  [ -z "$u" ] || set -- runuser -u "$u" -- "$@"
  [ -z "$LIMIT" ] || set -- timeout -k 5 "$LIMIT" "$@"
  "$@"
}
