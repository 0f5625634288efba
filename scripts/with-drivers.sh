#!/usr/bin/env bash
# Runs a command with all Vulkan drivers of this machine visible at once (GL is always visible), except lavapipe-26: it is lavapipe
# again, and would take a fifth of the tests' time to repeat all results except cooperative matrices. Or with one driver alone.
#
#     scripts/with-drivers.sh target/release/gpu-resnet verify --all-adapters
#     scripts/with-drivers.sh --only lavapipe-26 target/release/gpu-resnet verify
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

if [[ ${1:-} == --only ]]; then
    VK_DRIVER_FILES=$("$here/drivers.sh" "$2")
    export __EGL_VENDOR_LIBRARY_FILENAMES=/dev/null # no GL
    shift 2
else
    VK_DRIVER_FILES=$("$here/drivers.sh" | awk -F'\t' '$1 != "lavapipe-26" { print $2 }' | paste -sd:)
fi
export VK_DRIVER_FILES VK_ICD_FILENAMES=$VK_DRIVER_FILES
# DX12's shader compiler, if scripts/setup.sh could fetch it.
dxcompiler=${GPU_RESNET_DRIVERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gpu-resnet/drivers}/dxc/libdxcompiler.so
if [[ -f $dxcompiler ]]; then export GPU_RESNET_DXC=$here/dxc.py GPU_RESNET_DXCOMPILER=$dxcompiler; fi
# Chrome's, likewise.
dawn=${GPU_RESNET_DRIVERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gpu-resnet/drivers}/dawn/dawn.node
if [[ -f $dawn ]]; then export GPU_RESNET_TINT=$here/tint.mjs GPU_RESNET_DAWN=$dawn; fi
# GL drivers complain on stderr without it.
if [[ -z ${XDG_RUNTIME_DIR:-} ]]; then
    XDG_RUNTIME_DIR=$(mktemp -d)
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
fi
"$@"
