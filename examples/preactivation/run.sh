#!/usr/bin/env bash
# The original residual block against the pre-activation one at two depths, on the digits in examples/digits. Some minutes on a
# software driver. Runs go to runs/preactivation, the picture to examples/preactivation/curves.svg, the table to stdout.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --locked --bin gpu-resnet --example curves
out=${1:-runs/preactivation}
run() {
    target=${CARGO_TARGET_DIR:-target}/release/gpu-resnet
    [[ -f $out/$1/model.safetensors ]] && return
    rm -rf "${out:?}/$1"
    "$target" train examples/digits --arch "$1" --image-size 8 --epochs 12 --batch-size 64 --lr 0.05 --augment crop=1 \
        --log-gradients --output "$out/$1"
}
networks=(resnet20 preact-resnet20 resnet56 preact-resnet56)
for name in "${networks[@]}"; do run "$name"; done
"${CARGO_TARGET_DIR:-target}/release/examples/curves" examples/preactivation/curves.svg \
    "resnet20=$out/resnet20" "preact-resnet20=$out/preact-resnet20" "resnet56=$out/resnet56" \
    "preact-resnet56=$out/preact-resnet56"
