#!/usr/bin/env bash
# Licences, sources and checksums of every crate that the program, the Python package, the page and the fuzz targets link: by `cargo deny`
# where it is installed (cargo install cargo-deny --locked), else by scripts/supply-chain.py. cargo deny also asks RustSec's database for
# known vulnerabilities, if that can be fetched.
#
#     scripts/deny.sh
set -euo pipefail
cd "$(dirname "$0")/.."
say() { echo "deny: $*" >&2; }

if ! cargo deny --version >/dev/null 2>&1; then
    command -v python3 >/dev/null || { say "neither cargo-deny nor Python is here, so licences are not checked."; exit 0; }
    exec python3 scripts/supply-chain.py
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for folder in . python web fuzz; do
    options=(--locked --all-features --config deny.toml --manifest-path "$folder/Cargo.toml")
    cargo deny "${options[@]}" check --allow license-exception-not-encountered --hide-inclusion-graph licenses bans sources
    if cargo deny "${options[@]}" fetch db >"$log" 2>&1; then
        cargo deny "${options[@]}" check --disable-fetch --hide-inclusion-graph advisories
    elif [[ $folder == . ]]; then
        say "the database of known vulnerabilities can't be fetched here, so they are not asked for."
    fi
done
