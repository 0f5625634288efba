#!/usr/bin/env bash
# Every fault of the driver, kill and failing disk that docs/internals/reliability.md counts, two campaigns at a time. At the end there are the
# rows of its table; all output is in target/campaigns.log.
#
#     scripts/campaigns.sh [FILTER …]     # faults:: kills:: fetches:: disk::
set -euo pipefail
cd "$(dirname "$0")/.."
log=${CARGO_TARGET_DIR:-target}/campaigns.log
mkdir -p "$(dirname "$log")"
filters=("$@")
[[ ${#filters[@]} -gt 0 ]] || filters=(campaigns::)
started=$SECONDS status=0
cargo test --release --locked --test cli -- "${filters[@]}" --ignored --nocapture --test-threads 2 2>&1 | tee "$log" || status=$?
echo
echo "| what | how many | command |"
echo "|---|---|---|"
sed -n 's/^ROW| \(.*\)/| \1 | `make campaigns` |/p' "$log"
echo
echo "campaigns: $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s, $(nproc) cores, $(date -u +%F)" >&2
if [[ $status -ne 0 ]]; then echo "campaigns: something failed; $log says what." >&2; fi
exit $status
