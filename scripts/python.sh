#!/usr/bin/env bash
# The Python package: builds its wheel, installs it into a virtual environment and runs its tests, then imports it under every
# other Python from 3.10 on that is here.
#
#     scripts/python.sh               # build, install, test
#     scripts/python.sh -k classify   # arguments go to pytest
#
# Packages come from wherever this machine's pip takes them, but only in the versions and with the SHA-256 of python/requirements. Where
# Python 3.10 or its packages can't be had, a sentence says so and nothing is tested. GPU_RESNET_PYTHON names the interpreter;
# GPU_RESNET_RAY=off leaves Ray and its tests (a minute) out.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "python: $*" >&2; }
good() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

# Pythons of this machine, by their names, each once.
pythons() {
    local name path
    for name in python3 python3.10 python3.11 python3.12 python3.13; do
        for path in "$(command -v "$name" || true)" "$HOME"/.pyenv/versions/3.1[0-9]*/bin/"$name"; do
            if [[ -x $path ]] && good "$path"; then "$path" -c 'import sys; print(*sys.version_info[:2], sys.executable)'; fi
        done
    done | sort -u -k1,2 | cut -d' ' -f3
}

python=${GPU_RESNET_PYTHON:-$(pythons | head -n 1)}
if [[ -z $python ]]; then say "no Python 3.10 or newer with venv is here, so the package is not tested."; exit 0; fi

# The program's own target folder: most dependencies are built there already.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
environment=$CARGO_TARGET_DIR/python
mkdir -p "$CARGO_TARGET_DIR"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [[ ! -x $environment/bin/python ]]; then "$python" -m venv "$environment"; fi
pinned() { "$1" -m pip install -q --only-binary :all: --require-hashes -r "python/requirements/$2.txt" >"$log" 2>&1; }
if ! pinned "$environment/bin/python" tests; then
    say "its packages can't be had here ($(tail -n 1 "$log")), so the package is not tested."
    exit 0
fi
if [[ ${GPU_RESNET_RAY:-on} == off ]] || ! pinned "$environment/bin/python" ray; then
    say "Ray is not here, so gpu_resnet.ray is not tested."
fi
export VIRTUAL_ENV=$environment PATH=$environment/bin:$PATH
rm -rf "$CARGO_TARGET_DIR/wheels"
(cd python && maturin build -q --release --locked --interpreter python)
wheel=$(ls "$CARGO_TARGET_DIR"/wheels/*.whl)
pip install -q --force-reinstall --no-deps "$wheel"
(cd python && python -m pytest -q "$@")

# One wheel for all: abi3.
if [[ $# -eq 0 ]]; then
    for other in $(pythons); do
        place=$(mktemp -d)
        if "$other" -m venv "$place" && pinned "$place/bin/python" package &&
            "$place/bin/pip" install -q --no-deps "$wheel" >"$log" 2>&1; then
            "$place/bin/python" -c 'import sys, gpu_resnet
print("python: the wheel works under", *sys.version_info[:2], "with", len(gpu_resnet.devices()), "adapters", file=sys.stderr)'
        else
            say "$other: numpy can't be had ($(tail -n 1 "$log"))."
        fi
        rm -rf "$place"
    done
fi
