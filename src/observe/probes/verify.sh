q_verify() {
  d=$(mktemp -d /run/stockade-verify.XXXXXX) || return
  while [ $# -gt 1 ]; do
    printf '%s' "$2" >"$d/$1"
    o=$(SYSTEMD_LOG_LEVEL=warning SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_COLOR=0 SYSTEMD_LOG_LOCATION=0 \
      SYSTEMD_UNIT_PATH="$d:" timeout 20 systemd-analyze verify --man=no "$d/$1" 2>&1)
    printf '%s\0' "$o"
    rm -f -- "$d/$1"
    shift 2
  done
  rm -rf -- "$d"; }
