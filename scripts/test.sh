#!/usr/bin/env bash
# Every test, with all Vulkan drivers of this machine visible at once: tests of kernels and networks go through every adapter
# that they find. A failure hides no other. Arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/with-drivers.sh cargo test --release --locked --no-fail-fast "$@"
