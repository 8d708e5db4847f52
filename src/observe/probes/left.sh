# What earlier runs have left: told, and swept where nobody will come back for it.
S=/run/stockade A=/var/lib/stockade/runs
# at_work FILE: whether the process that is named in it lives.
at_work() { p=$(one "$1"); [ -n "$p" ] && kill -0 "$p"; }
# The data of a run that is over, secrets among it, where its runner was killed before it was removed.
for d in "$S"/*/; do d=${d%/} i=${d##*/}
[ -d "$d" ] && [ ! -L "$d" ] || continue
[ ! -e "$A/$i/result" ] && [ -d "$A/$i" ] || rm -rf -- "$d"; done
# Whoever brings a run is named by the end of the directory that it is brought to.
for d in "$S"/.*-*-*/; do d=${d%/}
[ ! -d "$d" ] || kill -0 "${d##*-}" || rm -rf -- "$d"; done
# The last run if it ended between two phases, runs without a result, and who is
# at work if any of them still is.
u= n=0
{ read -r n <"${A%/*}/count"; } 2>/dev/null
for r in "$A"/*/; do r=${r%/} i=${r##*/} k= w=
[ -d "$r" ] || continue
{ read -r k <"$r/number" && [ "$k" = "$n" ] && read -r w <"$r/result"; } 2>/dev/null
[ "$w" != phase ] || f phase "$i"
[ ! -e "$r/result" ] || continue
if [ -e "$r/journal" ]; then f unfinished "$i"; u="$u $i"; continue; fi
# It was not brought whole, and never will be.
for d in "$S/.$i"-*/; do d=${d%/}; [ ! -d "$d" ] || continue 2; done
at_work "$S/$i/from" || [ -e "$r/journal" ] || rm -rf -- "${S:?}/$i" "$r"; done
# A run that has begun holds the lock until it ends: if it is free, the runner is dead.
[ -z "$u" ] || flock -n /run/lock/stockade.lock sh -c 'for i; do
[ ! -e "/run/stockade/$i/begun" ] || [ -e "/var/lib/stockade/runs/$i/result" ] || rm -rf -- "/run/stockade/$i"; done; :' - $u ||
f running "$(one /run/lock/stockade.lock)"
