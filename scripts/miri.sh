#!/usr/bin/env bash
# Runs the unit tests of what reads bytes from outside, and of the arithmetic of packing and plans, under Miri: an interpreter that finds
# undefined behaviour, in the crate and in the crates below it. Without Miri it says so and does nothing.
#
#     scripts/miri.sh [TEST …]     # parts of tests' names
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "miri: Miri is not here (rustup +nightly component add miri rust-src), so nothing is interpreted." >&2
    exit 0
fi
# Not among them: what maps a file, starts a thread pool, or takes minutes when interpreted (resizing, whole networks).
all=(error::
    weights::{pickle,text,labels,naming,head,overrides,config}
    data::{csv,names,cifar,clutter,matching,image_names,part_names,decode}
    train::{tensor_file,schedule,loss_scale}
    ops::precision
    model::fold)
tests=("${@:-${all[@]}}")
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/miri
# Tests use temporary files and the clock.
export MIRIFLAGS="-Zmiri-disable-isolation ${MIRIFLAGS:-}"
# A test that fills a bound of millions takes hours.
cargo +nightly miri test --locked --lib --no-default-features -- "${tests[@]}" --skip memory_is_bounded
