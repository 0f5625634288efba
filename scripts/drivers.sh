#!/usr/bin/env bash
# Lists the Vulkan drivers of this machine, one per line, as NAME<TAB>ICD-FILE: first those of real GPUs, then software drivers.
#
#     VK_DRIVER_FILES=$(scripts/drivers.sh swiftshader) gpu-resnet devices     # NAME prints only its path
#
# Software drivers are called lavapipe (the system's), lavapipe-22, lavapipe-26 and swiftshader (`scripts/setup.sh --all-drivers`); a
# hardware driver is listed, under its file's name, only if a device for it is present, since Mesa installs them all together.
# Older Vulkan loaders read VK_ICD_FILENAMES instead of VK_DRIVER_FILES: set both.
set -euo pipefail

cache=${GPU_RESNET_DRIVERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gpu-resnet/drivers}
machine=$(uname -m)

# The files that the loader would read by itself: the user's choice, or else the standard folders.
icd_files() {
    local chosen=${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}} folder
    if [[ -n $chosen ]]; then tr ':' '\n' <<<"$chosen"; return; fi
    for folder in /etc/vulkan /usr/local/etc/vulkan /usr/local/share/vulkan /usr/share/vulkan "${XDG_DATA_HOME:-${HOME:-}/.local/share}/vulkan"; do
        for file in "$folder"/icd.d/*.json; do [[ -f $file ]] && echo "$file"; done
    done
    return 0
}

present() { compgen -G "$1" >/dev/null; }

# NAME of an ICD file, or nothing if the driver can't do anything on this machine.
name_of() {
    local base=${1##*/}; base=${base%.json}
    case $base in *.i[3-6]86 | *.x86_64 | *.aarch64) [[ ${base##*.} == "$machine" ]] || return 0; base=${base%.*} ;; esac
    base=${base%_icd}
    case $base in
    lvp) case $1 in */mesa-22/*) echo lavapipe-22 ;; */lavapipe-26/*) echo lavapipe-26 ;; *) echo lavapipe ;; esac ;;
    vk_swiftshader) echo swiftshader ;;
    nvidia*) if present '/dev/nvidia[0-9]*' || [[ -e /dev/dxg ]]; then echo "$base"; fi ;;
    dzn) if [[ -e /dev/dxg ]]; then echo "$base"; fi ;;
    *) if present '/dev/dri/renderD*' || present '/dev/kgsl*' || present '/dev/mali*'; then echo "$base"; fi ;;
    esac
}

list() {
    local file name
    { icd_files; for file in "$cache"/*/*_icd*.json; do [[ -f $file ]] && echo "$file"; done; } | while IFS= read -r file; do
        [[ -f $file ]] || continue
        name=$(name_of "$file")
        if [[ -n $name ]]; then printf '%s\t%s\n' "$name" "$file"; fi
    done | awk -F'\t' '!seen[$1]++ { software = $1 ~ /^(lavapipe|lavapipe-22|lavapipe-26|swiftshader)$/; print software "\t" $0 }' | sort -s -k1,1n | cut -f2-
}

if [[ $# -gt 0 ]]; then
    path=$(list | awk -F'\t' -v name="$1" '$1 == name { print $2 }')
    if [[ -z $path ]]; then
        echo "scripts/drivers.sh: no driver called $1 here; found: $(list | cut -f1 | paste -sd' '); scripts/setup.sh --all-drivers fetches the software ones." >&2
        exit 1
    fi
    echo "$path"
else
    list
fi
