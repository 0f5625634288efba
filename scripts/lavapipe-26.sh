#!/usr/bin/env bash
# Sets up Mesa 26's lavapipe, a software driver with cooperative matrices, in the user's cache. `scripts/setup.sh --all-drivers` runs it.
#
#     VK_DRIVER_FILES=$(scripts/drivers.sh lavapipe-26) target/release/gpu-resnet devices
#
# The driver comes from Debian sid, from the packages that scripts/vendor-gpus.sh unpacks, and needs a newer C library than Debian 12's.
# Starting every program through another loader does not work, since `verify` and the tests start programs of their own. But the driver
# needs only a dozen new functions of that library, which scripts/lavapipe-26.c supplies. So the driver's libraries are copied, renamed
# to avoid conflicts with the system's, and linked to that file. The system's loader then takes them like any driver.
# Needs a C compiler (as Rust does) and no root.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${GPU_RESNET_DRIVERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gpu-resnet/drivers}
folder=$cache/lavapipe-26
part=$cache/.lavapipe-26.part
from=$cache/vendors/usr
libraries=$from/lib/x86_64-linux-gnu
driver=libvulkan_lvp.so
shim=libsid-c.so
die() { echo "lavapipe-26: $*" >&2; exit 1; }

[[ ! -f $folder/lvp_icd.json ]] || exit 0
command -v apt-get >/dev/null && [[ $(uname -m) == x86_64 ]] ||
    die "it comes from Debian's packages for x86_64, and this machine has no apt-get or another processor."
command -v cc >/dev/null || die "no C compiler is here; install gcc."
bash "$here/vendor-gpus.sh" >/dev/null || exit 1
[[ -f $libraries/$driver ]] || die "the packages of $from have no lavapipe."

work=$(mktemp -d)
trap 'rm -rf "$work" "$part"' EXIT
(cd "$work" && apt-get -qq download patchelf >/dev/null 2>&1 && dpkg-deb -x patchelf_*.deb .) || die "patchelf could not be fetched from this machine's mirror."
patchelf=$work/usr/bin/patchelf

# A library and its dependencies, under names that begin with sid-.
rm -rf "$part" && mkdir -p "$part"
queue=("$driver")
while ((${#queue[@]})); do
    name=${queue[0]}; queue=("${queue[@]:1}")
    [[ ! -f $part/sid-$name ]] || continue
    cp -L "$libraries/$name" "$part/sid-$name" || die "the packages of $from have no $name."
    renames=()
    for needed in $("$patchelf" --print-needed "$part/sid-$name"); do
        case $needed in
        libc.so.6 | libm.so.6) renames+=(--replace-needed "$needed" "$shim") ;;
        ld-linux-x86-64.so.2 | libgcc_s.so.1) ;;  # the process has them already
        *) renames+=(--replace-needed "$needed" "sid-$needed"); queue+=("$needed") ;;
        esac
    done
    # One change per call: patchelf 0.14 mishandles several.
    "$patchelf" --set-soname "sid-$name" "$part/sid-$name"
    "$patchelf" --set-rpath '$ORIGIN' "$part/sid-$name"
    if ((${#renames[@]})); then "$patchelf" "${renames[@]}" "$part/sid-$name"; fi
done

# The loader looks in the shim for every version that the libraries name; symbols come from it or from the C library behind it.
versions=(2.2.5 2.2.6 2.3.2 2.3.3 2.3.4 ABI_DT_RELR)
for minor in {3..60}; do versions+=("2.$minor"); done
printf 'GLIBC_%s { };\n' "${versions[@]}" >"$work/versions"
cc -O2 -fPIC -shared -fno-builtin -Wl,-soname,$shim -Wl,--version-script="$work/versions" -o "$part/$shim" "$here/lavapipe-26.c" \
    -Wl,--no-as-needed -lm || die "scripts/lavapipe-26.c does not compile here."

missing=$(ldd -r "$part/sid-$driver" 2>&1 | grep -E 'undefined symbol|not found|version|rror' | head -n 3 | paste -sd'; ' || true)
[[ -z $missing ]] || die "this Mesa wants more of the C library than scripts/lavapipe-26.c has: $missing"
sed "s|\"library_path\": *\"[^\"]*\"|\"library_path\": \"$folder/sid-$driver\"|" "$from/share/vulkan/icd.d/lvp_icd.json" >"$part/lvp_icd.json"
rm -rf "$folder" && mv "$part" "$folder"
