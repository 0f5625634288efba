#!/usr/bin/env bash
# Tests the page in headless Chromium, with WebGPU on SwiftShader, against the program on SwiftShader through Vulkan: the verdict of every
# case, probabilities of the photographs to 1e-4, a report that `verify --compare` takes, and a head trained in the page that the program
# and PyTorch load. A run with controls that are left whole must show as invalid.
#
#     scripts/web-test.sh
#
# Both run the whole quick suite, at the same time, or what FILTER selects of it. Without a browser, Node.js, SwiftShader or the toolchain
# of scripts/web.sh the test is skipped: a sentence says why, and the exit status is 3.
# GPU_RESNET_PICTURES=1 also takes pictures of the page, for docs/guide/browser.md. GPU_RESNET_PYTHON names a Python with torch.
set -euo pipefail
cd "$(dirname "$0")/.."

filter=${FILTER:-}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
program=$CARGO_TARGET_DIR/release/gpu-resnet
out=$CARGO_TARGET_DIR/web-test
say() { echo "web-test: $*" >&2; }
skip() { say "skipped: $*"; exit 3; }

command -v node >/dev/null || skip "Node.js is not installed."
browser=$(scripts/browser.sh) || skip "there is no browser."
icd=$(scripts/drivers.sh swiftshader 2>/dev/null) || skip "SwiftShader is not here; scripts/setup.sh --all-drivers fetches it."
if [[ -z ${GPU_RESNET_WEB_BUILT:-} ]]; then
    scripts/web.sh || { status=$?; [[ $status != 3 ]] || skip "the page can't be built here."; exit $status; }
    cargo build --release --locked
fi

rm -rf "$out" && mkdir -p "$out"
"$program" web "$CARGO_TARGET_DIR/web" --port 0 >"$out/address" 2>/dev/null &
server=$! verifying=
trap 'kill $server $verifying 2>/dev/null || true' EXIT
for _ in {1..50}; do [[ ! -s $out/address ]] || break; sleep 0.1; done
native=(env "VK_DRIVER_FILES=$icd" "VK_ICD_FILENAMES=$icd" "$program" --backend vulkan)

"${native[@]}" infer tests/golden/photos/*.{jpg,png} --json >"$out/native.jsonl" 2>"$out/log" || { cat "$out/log" >&2; exit 1; }
# The page's worker keeps one core busy.
"${native[@]}" verify ${filter:+--filter "$filter"} --report "$out/native.json" >"$out/log" 2>&1 &
verifying=$!
node tests/web/page.mjs "$browser" "$(<"$out/address")" "$out" "$PWD" "$filter"
wait $verifying || { tail -n 20 "$out/log" >&2; exit 1; }
verifying=
node tests/web/compare.mjs "$out" tests/web/differences.json

# The program compares the two reports, and uses what the page trained.
"$program" verify --compare "$out/native.json" "$out/gpu-resnet-verify.json" >"$out/compared.txt"
grep -q swiftshader "$out/compared.txt" || { say "verify --compare does not name the page's adapter."; exit 1; }
digit=examples/digits/train/7/$(ls examples/digits/train/7 | sed -n 13p)
"${native[@]}" infer "$digit" --weights "$out/model.safetensors" --save-features "$out/features.safetensors" --json >"$out/digit.json" 2>/dev/null
node -e 'const { predictions: [top] } = JSON.parse(require("fs").readFileSync(0)); process.exit(top.label === "7" ? 0 : 1)' <"$out/digit.json" ||
    { say "the program takes a seven for another digit with the page's head: $(<"$out/digit.json")"; exit 1; }
python=${GPU_RESNET_PYTHON:-python3}
if "$python" -c 'import torch, safetensors' 2>/dev/null; then
    "$python" tests/web/load.py "$out/model.safetensors" "$out/digit.json" "$out/features.safetensors"
else
    say "no Python with torch and safetensors is here, so PyTorch does not load the page's head (GPU_RESNET_PYTHON names one)."
fi
say "passed."
