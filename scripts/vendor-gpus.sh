#!/usr/bin/env bash
# Runs a program on a GPU that is not installed: a current Mesa's driver and compiler, with a shim in place of the kernel's device. Kernels
# are compiled as for the real card; submits do nothing, so results are meaningless.
#
#     scripts/vendor-gpus.sh amd-navi31 target/release/gpu-resnet kernels       # as a Radeon RX 7900 XTX
#     scripts/vendor-gpus.sh                                                   # fetches the drivers, lists the GPUs
#
# GPUs: amd-NAME (RADV: polaris10 vega10 vega20 navi10 navi21 navi31 gfx1201 …), nvidia-CHIPSET (NVK: 162 Turing, 172 Ampere, 192 Ada, 1b2
# Blackwell), adreno-NUMBER (Turnip: 650 740 750), apple-m1 (Honeykrisp). The drivers come from Debian sid, on the mirror that this
# machine already uses, with their C library, and are unpacked into the user's cache: nothing is installed, and no root is needed.
# A program that starts itself again (`verify`) can't be run this way, since its loader is not the system's. `gpu-resnet verify
# --offline-shaders` starts its own children this way, as nine of these GPUs.
set -euo pipefail

cache=${GPU_RESNET_DRIVERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gpu-resnet/drivers}
folder=$cache/vendors
say() { echo "vendor-gpus: $*" >&2; }
die() { say "$@"; exit 1; }

if [[ ! -f $folder/.complete ]]; then
    say "fetching a current Mesa with device shims into $folder"
    bash "$(dirname "$0")/sid.sh" "$folder" libvulkan1 mesa-vulkan-drivers mesa-drm-shim || die "the drivers can't be had here."
fi
if [[ $# -lt 2 ]]; then
    sed -n '2,15s/^# \{0,1\}//p' "$0"
    exit $(($# == 0 ? 0 : 2))
fi

libraries=$folder/usr/lib/x86_64-linux-gnu
case $1 in
amd-?*) shim=amdgpu icd=radeon device=AMDGPU_GPU_ID=${1#amd-} ;;
nvidia-?*) shim=nouveau icd=nouveau device=NOUVEAU_CHIPSET=${1#nvidia-} ;;
adreno-?*) shim=freedreno icd=freedreno device=FD_GPU_ID=${1#adreno-} ;;
apple-m1) shim=asahi icd=asahi device=ASAHI=m1 ;;
*) die "there is no GPU $1 here; without arguments the script lists them." ;;
esac
shift
program=$(command -v "$1") || die "$1 is not a program."
shift
icd=$folder/usr/share/vulkan/icd.d/${icd}_icd.json
exec env "$device" MESA_SHADER_CACHE_DISABLE=true GPU_RESNET_BACKEND=vulkan VK_DRIVER_FILES="$icd" VK_ICD_FILENAMES="$icd" \
    XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}" "$folder/usr/lib64/ld-linux-x86-64.so.2" --library-path "$libraries" \
    --preload "$libraries/lib${shim}_noop_drm_shim.so" "$program" "$@"
