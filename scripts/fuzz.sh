#!/usr/bin/env bash
# Fuzzes everything that is read from outside: each target of fuzz/ for so many seconds (60), one on each core. What is found lies in
# fuzz/findings. With FUZZ_KEEP=1 new inputs that reach new code are added to the corpus. Without a nightly compiler, or one for C++, of which
# libFuzzer is, the script says so and does nothing.
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
if ! command -v c++ >/dev/null || ! command -v python3 >/dev/null; then
    echo "fuzz: a C++ compiler or Python is missing here (apt-get install g++ python3), so nothing is fuzzed." >&2
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
mkdir -p fuzz/findings fuzz/corpus

# Fuzzes one target.
fuzz_one() {
    local target=$1 status=0
    local new=$work/new/$target old=$work/old/$target small=$work/small/$target program=$programs/$target
    mkdir -p "$new" "$old" "$small"
    [[ ! -f fuzz/corpus/$target.tar.gz ]] || tar -xzf "fuzz/corpus/$target.tar.gz" -C "$old"
    "$program" "$new" "$old" "$work/seeds/$target" -dict="fuzz/dictionaries/$target.dict" -max_total_time="$seconds" -timeout=60 \
        -rss_limit_mb=4096 -max_len=65536 -artifact_prefix="fuzz/findings/$target-" -print_final_stats=1 2>"$work/$target.log" || status=1
    grep -E '^stat::number_of_executed_units|^stat::peak_rss_mb|^SUMMARY|panicked|above the limit' "$work/$target.log" | sed "s/^/$target: /" || true
    if [[ -n ${FUZZ_KEEP:-} ]]; then
        "$program" -merge=1 -max_len=4096 "$small" "$old" "$new" 2>/dev/null
        tar --sort=name --mtime=@0 --owner=0 --group=0 -C "$small" -c . | gzip -9n >"fuzz/corpus/$target.tar.gz"
    fi
    return "$status"
}

export -f fuzz_one
export work seconds programs=$target_dir/$host/release
if ! printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'set -euo pipefail; fuzz_one {}'; then
    echo "fuzz: something was found; the inputs lie in fuzz/findings, and $programs/TARGET FILE repeats each." >&2
    exit 1
fi
