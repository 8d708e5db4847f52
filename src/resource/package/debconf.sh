# Prints the questions among the arguments that have an answer, or none, in
# debconf's database of what is no password: `question`, or `question<TAB>answer`.
[ ! -r /var/cache/debconf/config.dat ] || awk -v RS= -F '\n' '
  BEGIN { for (i = 1; i < ARGC; i++) asked[ARGV[i]] = 1; ARGV[1] = "/var/cache/debconf/config.dat"; ARGC = 2 }
  { n = v = ""; has = 0
    for (i = 1; i <= NF; i++) {
      if ($i ~ /^Name: /) n = substr($i, 7)
      if ($i ~ /^Value: /) { v = substr($i, 8); has = 1 }
    }
    if (n in asked) print n (has ? "\t" v : "") }' "$@"
