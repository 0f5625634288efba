#!/usr/bin/env bash
# Fuzzes everything that is read from outside: each target of fuzz/ for so many seconds (60), one after the other.
# Without a nightly compiler it says so and does nothing. What is found lies in fuzz/findings. With FUZZ_KEEP=1 new inputs that reach new code are
# added to the corpus.
#
#     scripts/fuzz.sh [SECONDS [TARGET …]]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || targets=(weights pickles networks checkpoints images data texts caches)
if ! rustc +nightly --version >/dev/null 2>&1; then
    echo "fuzz: no nightly compiler is here (rustup toolchain install nightly), so nothing is fuzzed." >&2
    exit 0
fi
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-$PWD/fuzz/target}
# What libFuzzer needs of the compiler; the targets bound memory themselves, so no sanitizer is linked.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=4"
cargo +nightly build --release --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$target_dir"
unset RUSTFLAGS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 fuzz/seeds.py "$work/seeds" >&2
mkdir -p fuzz/findings
status=0
for target in "${targets[@]}"; do
    new=$work/new/$target old=$work/old/$target program=$target_dir/$host/release/$target
    mkdir -p "$new" "$old"
    [[ ! -f fuzz/corpus/$target.tar.gz ]] || tar -xzf "fuzz/corpus/$target.tar.gz" -C "$old"
    "$program" "$new" "$old" "$work/seeds/$target" -dict="fuzz/dictionaries/$target.dict" -max_total_time="$seconds" -timeout=20 \
        -rss_limit_mb=4096 -max_len=65536 -artifact_prefix="fuzz/findings/$target-" -print_final_stats=1 2>"$work/$target.log" || status=$?
    grep -E '^stat::number_of_executed_units|^stat::peak_rss_mb|^SUMMARY|panicked|above the limit' "$work/$target.log" | sed "s/^/$target: /" || true
    if [[ -n ${FUZZ_KEEP:-} ]]; then
        mkdir -p "$work/small/$target"
        "$program" -merge=1 -max_len=4096 "$work/small/$target" "$old" "$new" 2>/dev/null
        mkdir -p fuzz/corpus
        tar --sort=name --mtime=@0 --owner=0 --group=0 -C "$work/small/$target" -c . | gzip -9n >"fuzz/corpus/$target.tar.gz"
    fi
done
if [[ $status -ne 0 ]]; then
    echo "fuzz: something was found; the inputs lie in fuzz/findings, and fuzz/target/…/release/TARGET FILE repeats each." >&2
fi
exit $status
