#!/usr/bin/env bash
# Runs a command with all Vulkan drivers of this machine visible at once (GL comes by itself).
#
#     scripts/with-drivers.sh target/release/gpu-resnet verify --all-adapters
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

VK_DRIVER_FILES=$("$here/drivers.sh" | cut -f2 | paste -sd:)
export VK_DRIVER_FILES VK_ICD_FILENAMES=$VK_DRIVER_FILES
# DX12's shader compiler, where scripts/setup.sh could fetch it.
dxcompiler=${GPU_RESNET_DRIVERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gpu-resnet/drivers}/dxc/libdxcompiler.so
if [[ -f $dxcompiler ]]; then export GPU_RESNET_DXC=$here/dxc.py GPU_RESNET_DXCOMPILER=$dxcompiler; fi
# GL drivers complain on stderr without it.
if [[ -z ${XDG_RUNTIME_DIR:-} ]]; then
    XDG_RUNTIME_DIR=$(mktemp -d)
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
fi
"$@"
