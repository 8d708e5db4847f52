# The algorithms that OpenSSH of the host knows, of each type after "== TYPE".
command -v ssh >/dev/null || { echo '== absent'; exit 0; }
for type in kex cipher mac key-sig; do
  printf '== %s\n' "$type"
  ssh -Q "$type" || exit
done
