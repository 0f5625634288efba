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

# Downloads the packages and their dependencies into a separate root, with separate package lists.
fetch() {
    command -v apt-get >/dev/null && [[ $(uname -m) == x86_64 ]] ||
        die "the drivers come from Debian's packages for x86_64, and this machine has no apt-get or another processor."
    local work mirror key options
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m 1 '/debian/\?$') ||
        mirror=$(apt-cache policy base-files | grep -m 1 -oE 'https?://[^ ]+') || die "no Debian mirror is configured here."
    key=$(compgen -G '/usr/share/keyrings/debian-archive-keyring.*' | head -n 1) || die "Debian's keys (debian-archive-keyring) are missing."
    work=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    mkdir -p "$work"/{lists/partial,archives/partial,root}
    : >"$work/status"
    echo "deb [signed-by=$key] $mirror sid main" >"$work/sources.list"
    options=(-qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists"
        -o Dir::State::Status="$work/status" -o Dir::Cache::Archives="$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        -o Debug::NoLocking=1 -o APT::Sandbox::User=)
    say "fetching a current Mesa with device shims into $folder"
    apt-get "${options[@]}" update >&2 || die "this machine's Debian mirror has no sid."
    apt-get "${options[@]}" -y --no-install-recommends --download-only install libvulkan1 mesa-vulkan-drivers mesa-drm-shim >&2 ||
        die "this machine's Debian mirror has no Mesa with device shims (mesa-drm-shim)."
    for package in "$work"/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done
    mkdir -p "$cache"
    rm -rf "$folder" && mv "$work/root" "$folder"
    touch "$folder/.complete"
}

[[ -f $folder/.complete ]] || fetch
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
