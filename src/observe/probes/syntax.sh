q_syntax() { for t do
  if e=$(exec sh -n 2>&1 <<END
$t
END
  ); then e=; else e=${e:-it cannot be read}; fi
  printf '%s\0' "$e"
done; }
