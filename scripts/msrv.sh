#!/usr/bin/env bash
# Whether the oldest Rust that Cargo.toml names (rust-version) still compiles the program and the library. Needs rustup.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
rustup toolchain list | grep -q "^$version" || rustup toolchain install "$version" --profile minimal
cargo "+$version" check --locked --lib --bins
