#!/usr/bin/env bash
# Runs every test with all Vulkan drivers of this machine visible at once: tests of kernels and networks run on every adapter that they
# find. A failure does not stop the others. Then, without arguments, verify's quick list and cooperative matrices on lavapipe-26, and the
# tests of the Python package and of the page for browsers.
# Arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
scripts/with-drivers.sh cargo test --release --locked --no-fail-fast "$@" || status=$?
if [[ $# -eq 0 ]]; then
    if scripts/drivers.sh lavapipe-26 >/dev/null 2>&1; then
        GPU_RESNET_EXPECT_MATRICES=1 scripts/with-drivers.sh --only lavapipe-26 \
            cargo test --release --locked --no-fail-fast --test ops -- list:: cooperative::matrices || status=$?
    else
        echo "test: the driver lavapipe-26 is not here, so cooperative matrices are skipped." >&2
    fi
    scripts/python.sh || status=$?
    page=0
    scripts/web-test.sh || page=$?
    # Its own sentence says why.
    if [[ $page == 3 ]]; then echo "test: 1 part was skipped, the page for browsers." >&2; elif [[ $page != 0 ]]; then status=$page; fi
fi
exit $status
