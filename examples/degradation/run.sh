#!/usr/bin/env bash
# Plain against residual networks at two depths, and two kinds of shortcut, on the digits in examples/digits. Some minutes on a
# software driver. Runs go to runs/degradation, the picture to examples/degradation/curves.svg, the table to stdout.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --locked --bin gpu-resnet --example curves
out=${1:-runs/degradation}
run() {
    local name=$1 arch=$2
    shift 2
    target=${CARGO_TARGET_DIR:-target}/release/gpu-resnet
    [[ -f $out/$name/model.safetensors ]] && return
    rm -rf "${out:?}/$name"
    "$target" train examples/digits --arch "$arch" --image-size 8 --epochs 12 --batch-size 64 --lr 0.05 --augment crop=1 \
        --log-gradients --output "$out/$name" "$@"
}
run plain20 plain20
run plain56 plain56
run resnet20-A resnet20
run resnet20-B resnet20 --shortcut projection
run resnet56-A resnet56
"${CARGO_TARGET_DIR:-target}/release/examples/curves" examples/degradation/curves.svg \
    "plain20=$out/plain20" "plain56=$out/plain56" "resnet20 A=$out/resnet20-A" "resnet20 B=$out/resnet20-B" \
    "resnet56 A=$out/resnet56-A"
