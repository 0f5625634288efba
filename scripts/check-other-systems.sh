#!/usr/bin/env bash
# Type-checks the program for Windows (DX12) and macOS (Metal), on which the tests do not run.
#
#     scripts/check-other-systems.sh                     # both
#     scripts/check-other-systems.sh aarch64-apple-darwin
#
# rustup fetches the standard libraries. Nothing is linked, and the only C code among the dependencies (ring's) goes to a dummy compiler, so
# that no SDK is needed. Without rustup, or if it can't fetch the libraries, the check is skipped with a message.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=("$@")
[[ $# -gt 0 ]] || targets=(x86_64-pc-windows-gnu aarch64-apple-darwin)
say() { echo "check-other-systems: $*" >&2; }
if ! command -v rustup >/dev/null; then
    say "skipped: rustup, which fetches the standard libraries of other systems, is not installed."
    exit 0
fi
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

skipped=0
for target in "${targets[@]}"; do
    if ! rustup target list --installed | grep -qx "$target" && ! timeout 300 rustup target add "$target" >"$work/log" 2>&1; then
        say "skipped $target: rustup could not fetch its standard library ($(grep -m 1 error "$work/log" || tail -n 1 "$work/log"))."
        skipped=$((skipped + 1))
        continue
    fi
    name=${target//-/_}
    env "CC_$name=$work/stand-in" "AR_$name=$work/stand-in" cargo check --release --locked --lib --bins --target "$target"
    say "$target passes."
done
say "$((${#targets[@]} - skipped)) checked, $skipped skipped."
