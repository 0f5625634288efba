#!/usr/bin/env bash
# Every test, with all Vulkan drivers of this machine visible at once (GL comes by itself): tests of kernels and networks
# go through every adapter that they find. Arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."

VK_DRIVER_FILES=$(scripts/drivers.sh | cut -f2 | paste -sd:)
export VK_DRIVER_FILES VK_ICD_FILENAMES=$VK_DRIVER_FILES
# GL drivers complain on stderr without it.
if [[ -z ${XDG_RUNTIME_DIR:-} ]]; then
    XDG_RUNTIME_DIR=$(mktemp -d)
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
fi
cargo test --release --locked "$@"
