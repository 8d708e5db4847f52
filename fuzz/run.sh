#!/usr/bin/env bash
# Runs every fuzz target for a while, with libFuzzer, from the seeds.
#   fuzz/run.sh SECONDS [TARGET …]     20 seconds each unless told
# What is found is left in fuzz/artifacts, what was learnt in fuzz/corpus.
# Stable Rust suffices: coverage comes from LLVM's pass, and there is no
# sanitizer (the code has no `unsafe` to be watched). Needs a C++ compiler.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-20}
[ $# -gt 0 ] && shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(token path query body dockerfile shell_encoder playbook)
command -v c++ >/dev/null || { echo "a C++ compiler is missing; apt-get install g++" >&2; exit 1; }

host=$(rustc -vV | sed -n 's/^host: //p')
# --target keeps the flags away from build scripts.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16"
cargo build --locked --profile fuzz --target "$host" --target-dir target

# fuzz TARGET: what it found, in its log; in one line here.
fuzz() {
  local target=$1 log=artifacts/$1/log dictionary=() covered
  mkdir -p "corpus/$target" "artifacts/$target" "seeds/$target"
  if [ -f "seeds/$target.dict" ]; then dictionary=("-dict=seeds/$target.dict"); fi
  if "target/$host/fuzz/$target" "corpus/$target" "seeds/$target" "-max_total_time=$seconds" -timeout=60 \
    -rss_limit_mb=2048 -max_len=2048 -seed="${SEED:-1}" -print_final_stats=1 \
    "-artifact_prefix=artifacts/$target/" "${dictionary[@]}" >"$log" 2>&1; then
    covered=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, $covered edges, nothing found"
  else
    echo "$target: FOUND SOMETHING" >&2
    grep -v '^#' "$log" | tail -n 40 >&2
    return 1
  fi
}

# A target keeps one core busy: as many run at a time as there are.
code=0 running=0
for target in "${targets[@]}"; do
  if [ $running -ge "$(nproc)" ]; then
    wait -n || code=1
    running=$((running - 1))
  fi
  fuzz "$target" &
  running=$((running + 1))
done
while [ $running -gt 0 ]; do
  wait -n || code=1
  running=$((running - 1))
done
exit $code
