#!/usr/bin/env bash
# Builds the page that verifies and uses a visitor's GPU into target/web: a folder of static files that any web server can host.
#
#     scripts/web.sh                  # build
#     target/release/gpu-resnet web   # serve it to this machine
#
# It needs Rust's standard library for wasm32, which rustup fetches; where it can't, or isn't installed, scripts/sid-rust.sh unpacks a
# compiler with it (GPU_RESNET_RUST=sid takes that one in any case). It also needs wasm-bindgen of the version in web/Cargo.lock, which
# cargo builds once into the user's cache from the registry that it uses. wasm-opt makes the page smaller where it is installed. Exit
# status 3: the toolchain can't be had here, and a sentence has said why.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${GPU_RESNET_TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gpu-resnet/tools}
target=wasm32-unknown-unknown
# What a visitor fetches before anything runs, without the weights.
most_bytes=$((6 << 20))
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
out=$CARGO_TARGET_DIR/web
say() { echo "web: $*" >&2; }
skip() { say "skipped: $*"; exit 3; }

# The standard library of the target, by rustup.
has_target() { [[ -d $(rustc --print sysroot)/lib/rustlib/$target ]]; }
fetch_target() {
    command -v rustup >/dev/null || { say "rustup, which fetches Rust's standard library for $target, is not here."; return 1; }
    say "fetching Rust's standard library for $target"
    timeout 300 rustup target add "$target" >&2 || { say "rustup could not fetch Rust's standard library for $target."; return 1; }
    has_target || { say "rustup fetched no standard library for the rustc that cargo runs."; return 1; }
}
command -v cargo >/dev/null || skip "cargo is not installed; rustup installs it."
compiler=()
if [[ ${GPU_RESNET_RUST:-} == sid ]] || { ! has_target && ! fetch_target; }; then
    folder=$(scripts/sid-rust.sh) || skip "Debian sid's Rust compiler, which has that library, can't be had either."
    say "taking Debian sid's Rust compiler, $folder/rustc"
    compiler=(env "RUSTC=$folder/rustc" "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$folder/wasm-ld")
fi

# wasm-bindgen's program must be of the version of its library.
version=$(awk '/^name = "wasm-bindgen"$/ { getline; gsub(/version = |"/, ""); print }' web/Cargo.lock)
tools=$cache/wasm-bindgen-$version
if [[ ! -x $tools/bin/wasm-bindgen ]]; then
    say "building wasm-bindgen $version into $tools (once)"
    export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=64 CARGO_PROFILE_RELEASE_STRIP=symbols
    install() { CARGO_TARGET_DIR=$CARGO_TARGET_DIR/wasm-bindgen cargo install -q --root "$tools" --version "=$version" "$@" wasm-bindgen-cli; }
    # A mirror may lack a version that the program's own lock file names.
    install --locked 2>/dev/null || install || skip "wasm-bindgen $version can't be had from cargo's registry here."
    unset CARGO_PROFILE_RELEASE_OPT_LEVEL CARGO_PROFILE_RELEASE_LTO CARGO_PROFILE_RELEASE_CODEGEN_UNITS CARGO_PROFILE_RELEASE_STRIP
    rm -rf "$CARGO_TARGET_DIR/wasm-bindgen"
fi

"${compiler[@]}" cargo build --locked --profile page --target "$target" --manifest-path web/Cargo.toml
part=$CARGO_TARGET_DIR/.web.part
rm -rf "$part" && mkdir -p "$part/weights"
"$tools/bin/wasm-bindgen" --target web --no-typescript --remove-name-section --remove-producers-section --out-dir "$part" "$CARGO_TARGET_DIR/$target/page/gpu_resnet_web.wasm"
wasm=$part/gpu_resnet_web_bg.wasm
if ! command -v wasm-opt >/dev/null; then
    say "wasm-opt is not installed, so the module stays as the compiler made it."
elif wasm-opt -O2 --all-features -o "$wasm.small" "$wasm" 2>/dev/null; then
    mv "$wasm.small" "$wasm"
else
    rm -f "$wasm.small"
    say "this wasm-opt does not read the module, which stays as the compiler made it."
fi
cp web/page/* "$part"
cp weights/resnet50-thin.safetensors weights/LICENSE.open_nsfw "$part/weights"
rm -rf "$out" && mv "$part" "$out"

bytes=$(stat -c %s "$out/gpu_resnet_web_bg.wasm")
packed=$(gzip -9c "$out/gpu_resnet_web_bg.wasm" | wc -c)
weights=$(stat -c %s "$out/weights/resnet50-thin.safetensors")
say "$out: module $bytes bytes ($packed with gzip), weights $weights bytes, everything $(du -sb "$out" | cut -f1) bytes"
if ((bytes > most_bytes)); then say "the module is larger than $most_bytes bytes; look for what came into it."; exit 1; fi
