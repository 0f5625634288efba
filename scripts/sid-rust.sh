#!/usr/bin/env bash
# Prints a folder with Debian sid's Rust compiler, unpacked into the user's cache on first use, for where rustup can't be had.
#
#     RUSTC=$(scripts/sid-rust.sh)/rustc cargo build …
#
# It has the standard libraries of this machine and of wasm32, whose linker is wasm-ld in the same folder, and the source of those of all
# other targets. Its programs run through sid's own loader and C library. The C compiler, which links programs for this machine, is this
# machine's. 290 MB are fetched.
set -euo pipefail

cache=${GPU_RESNET_TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gpu-resnet/tools}
folder=$cache/rust-sid
if [[ ! -f $folder/.complete ]]; then
    echo "sid-rust: fetching Debian sid's Rust compiler (290 MB) into $folder" >&2
    # rustc depends on a C compiler and its libraries.
    bash "$(dirname "$0")/sid.sh" "$folder" rustc libstd-rust-dev-wasm32 rust-src lld '-^(gcc-1|gcc-x|gcc$|cpp|binutils|libgprofng|libctf|lib(a|l|t|ub|hwa)san)'
fi

# A program of the folder, through its own loader.
wrap() {
    cat <<END
#!/bin/sh
exec "$folder/usr/lib64/ld-linux-x86-64.so.2" --argv0 "$1" --library-path "$folder/usr/lib/x86_64-linux-gnu" "$folder/usr/bin/$1" $2 "\$@"
END
}
mkdir -p "$folder/run"
for program in "rustc --sysroot \"$folder/usr\"" wasm-ld; do
    read -r name options <<<"$program"
    wrap "$name" "$options" >"$folder/run/$name.$$"
    chmod +x "$folder/run/$name.$$"
    mv "$folder/run/$name.$$" "$folder/run/$name"
done
"$folder/run/rustc" --version >&2 || { echo "sid-rust: the unpacked compiler does not run here." >&2; exit 1; }
echo "$folder/run"
