#!/usr/bin/env bash
# Pins the Python packages of scripts/python.sh anew: versions and SHA-256 of every file, from the index's own metadata, for Python 3.10 and
# newer on any system. Needs uv.
#
#     scripts/pin-python.sh
set -euo pipefail
cd "$(dirname "$0")/../python/requirements"
command -v uv >/dev/null || { echo "pin-python: uv is not here (pip install uv), so nothing is pinned." >&2; exit 1; }
about="# By scripts/pin-python.sh; scripts/python.sh installs them with --require-hashes."
pin() {
    local name=$1
    shift
    printf '%s\n' "$@" >"$name.in"
    { echo "$about"; uv pip compile -q --universal --generate-hashes --python-version 3.10 --no-header --no-annotate \
        ${constraint:+-c "$constraint"} "$name.in"; } >"$name.new"
    rm "$name.in"
    mv "$name.new" "$name.txt"
}
# What the package needs, what its tests need, and what gpu_resnet.ray needs.
constraint="" pin package 'numpy>=1.23'
constraint=package.txt pin tests 'maturin>=1.9,<2' pytest pillow pyarrow scikit-learn nbformat nbclient ipykernel
constraint=tests.txt pin ray 'ray[data]'
