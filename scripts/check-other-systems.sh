#!/usr/bin/env bash
# Type-checks the program for Windows (DX12) and macOS (Metal), on which the tests do not run.
#
#     scripts/check-other-systems.sh                     # both
#     scripts/check-other-systems.sh aarch64-apple-darwin
#
# rustup fetches the standard libraries. Where it can't, or isn't installed, scripts/sid-rust.sh unpacks a compiler with their source, which
# cargo then checks too (GPU_RESNET_RUST=sid takes that in any case). Nothing is linked, and the only C code among the dependencies (ring's)
# goes to a dummy compiler, so that no SDK is needed. If neither can be had, the check is skipped with a message.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=("$@")
[[ $# -gt 0 ]] || targets=(x86_64-pc-windows-gnu aarch64-apple-darwin)
say() { echo "check-other-systems: $*" >&2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Creates requested objects and archives as empty files.
cat >"$work/stand-in" <<'END'
#!/usr/bin/env bash
while [[ $# -gt 0 ]]; do
    case $1 in
    -o) : >"$2"; shift ;;
    *.a) : >"$1" ;;
    esac
    shift
done
END
chmod +x "$work/stand-in"

# The standard library of target $1, by rustup.
has_library() {
    [[ ${GPU_RESNET_RUST:-} != sid ]] && command -v rustup >/dev/null || return 1
    rustup target list --installed | grep -qx "$1" && return 0
    timeout 300 rustup target add "$1" >"$work/log" 2>&1 && return 0
    say "rustup could not fetch the standard library of $1 ($(grep -m 1 error "$work/log" || tail -n 1 "$work/log"))."
    return 1
}

skipped=0
for target in "${targets[@]}"; do
    compiler=() library=()
    if ! has_library "$target"; then
        if ! folder=$(scripts/sid-rust.sh); then
            say "skipped $target: its standard library can't be had here."
            skipped=$((skipped + 1))
            continue
        fi
        say "taking Debian sid's Rust compiler, $folder/rustc"
        compiler=("RUSTC=$folder/rustc" RUSTC_BOOTSTRAP=1) library=(-Zbuild-std=std,panic_abort)
    fi
    name=${target//-/_}
    env "CC_$name=$work/stand-in" "AR_$name=$work/stand-in" "${compiler[@]}" cargo check "${library[@]}" --release --locked --lib --bins --target "$target"
    say "$target passes."
done
say "$((${#targets[@]} - skipped)) checked, $skipped skipped."
