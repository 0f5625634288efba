#!/usr/bin/env bash
# Collects everything worth measuring on a GPU in ten minutes: whether the driver computes correctly, what its compiler made of the
# kernels, which kernels are fastest, how fast networks run, and PyTorch beside them if it is installed. Needs a driver and bash, and no
# network if the program is given. A step that fails or runs out of time becomes a line of the page.
#
#     scripts/measure-gpu.sh                                  # builds the program if there is none
#     scripts/measure-gpu.sh --program ./gpu-resnet           # with a program that was copied here
#
# --program FILE    the program [target/release/gpu-resnet beside this script's folder; built there if it is not]
# --adapter N|NAME  the adapter, as `gpu-resnet devices` lists them [the best]
# --output DIR      where to create the folder DATE-ADAPTER [docs/results]
# --seconds N       time limit for all steps together [600]
# --quick           a small network on small images, a minute on a software driver: tests the script, not the GPU
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
say() { echo "measure-gpu: $*" >&2; }
die() { say "$@"; exit 1; }

program='' output=$here/docs/results most=600 quick=
[[ -d $here/docs ]] || output=$PWD/results
while [[ $# -gt 0 ]]; do
    case $1 in
    --program) program=${2:?--program needs a file} && shift ;;
    --adapter) export GPU_RESNET_ADAPTER=${2:?--adapter needs a number or a name} && shift ;;
    --output) output=${2:?--output needs a folder} && shift ;;
    --seconds) most=${2:?--seconds needs a number} && shift ;;
    --quick) quick=yes ;;
    *)
        sed -n '2,15s/^# \{0,1\}//p' "$0"
        [[ $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
[[ $most =~ ^[1-9][0-9]{0,4}$ ]] || die "--seconds $most is not a number of seconds."

if [[ -z $program ]]; then
    program=$here/target/release/gpu-resnet
    if [[ ! -x $program ]]; then
        command -v cargo >/dev/null || die "there is no program and no cargo to build it; copy a gpu-resnet here and name it by --program."
        (cd "$here" && cargo build --release --locked) || die "the program could not be built."
    fi
fi
output=$(realpath -m "$output")
program=$(realpath "$program") && [[ -x $program ]] || die "$program is not a program."

# The folder gets its name once the adapter is known. The user's tuned choices and pipelines are not changed.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/out"
export GPU_RESNET_CACHE=$work/cache
# GL drivers complain on stderr without it.
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$work}
cd "$work/out"

SECONDS=0
# step NAME LIMIT FILE COMMAND...: runs the command for at most LIMIT seconds and the time left; its output goes to FILE if it succeeds.
step() {
    local name=$1 limit=$2 file=$3 began=$SECONDS status=done message='' code=0
    shift 3
    local left=$((most - SECONDS))
    [[ $limit -le $left ]] || limit=$left
    if [[ $limit -lt 1 ]]; then
        printf '%s\tleft out\t0\tno time was left\n' "$name" >>steps.tsv
        return
    fi
    say "$name"
    timeout -k 5 "$limit" "$@" >"$work/stdout" 2>"$work/stderr" </dev/null || code=$?
    if [[ $code -ne 0 ]]; then
        message=$(tr -d '\t\r' <"$work/stderr" | grep -v '^$' | tail -n 1 | cut -c 1-300) || true
        status=failed
        if [[ $code -eq 124 || $code -eq 137 ]]; then status=time-out message="it did not end within $limit s"; fi
        say "$name: $status: $message"
    fi
    # A verification that found a mismatch still has its report.
    if [[ $file != - && -s $work/stdout && ($code -eq 0 || $code -eq 3) ]]; then mv "$work/stdout" "$file"; fi
    printf '%s\t%s\t%s\t%s\n' "$name" "$status" $((SECONDS - began)) "$message" >>steps.tsv
}

arch=(--arch resnet50) size=() batches=(1 8 64) tune_batch=8 train_batch=8 verify=(--suite full) verify_s=150 tune_s=60
if [[ -n $quick ]]; then
    arch=(--arch resnet20) size=(--image-size 32) batches=(1 8) tune_batch=2 train_batch=4
    verify=(--suite quick --filter '^(relu|linear|max_pool2d) ') verify_s=30 tune_s=20
fi

step adapter 60 adapter.json "$program" kernels "${arch[@]}" --train head --json
name=$(grep -o '"name": *"[^"]*"' adapter.json 2>/dev/null | head -n 1 | cut -d '"' -f 4 || true)
slug=$(tr '[:upper:]' '[:lower:]' <<<"${name:-unknown}" | tr -cs 'a-z0-9' '-' | cut -c 1-40)
slug=${slug%-}
{
    printf 'measured\t%s\n' "$(date -u +%Y-%m-%d)"
    printf 'program\t%s\n' "$("$program" --version 2>/dev/null || true)"
    printf 'processor\t%s\n' "$(grep -m 1 'model name' /proc/cpuinfo 2>/dev/null | cut -d: -f2- || uname -m)"
    printf 'system\t%s\n' "$(uname -sr)"
} >about.tsv

step "verify ${verify[*]}" $((verify_s + 30)) - "$program" verify "${verify[@]}" --limit "$verify_s" --timeout 20 --report verify.json
for part in f32 f16; do
    step "kernels $part" 60 "kernels-$part.json" "$program" kernels "${arch[@]}" "${size[@]}" --precision $part --json
done
step "kernels --train all" 60 kernels-train.json "$program" kernels "${arch[@]}" "${size[@]}" --train all --json

# Defaults first: afterwards the choices of tune apply.
bench() { # KIND PRECISION BATCH ARGUMENT...
    local kind=$1 precision=$2 batch=$3
    shift 3
    step "bench $kind $precision, batch size $batch" 40 "bench-$kind-$precision-b$batch.json" \
        "$program" bench "${arch[@]}" "${size[@]}" --precision "$precision" --batch-size "$batch" --json "$@"
}
train() { # KIND ARGUMENT...
    step "bench --train all, $1" 40 "bench-train-$1.json" \
        "$program" bench "${arch[@]}" "${size[@]}" --train all --batch-size "$train_batch" --json "${@:2}"
}
for precision in f32 f16; do
    for batch in "${batches[@]}"; do bench default $precision "$batch" --no-tuning; done
done
train default --no-tuning
for precision in f32 f16; do
    step "tune $precision" $((tune_s + 30)) "tune-$precision.json" \
        "$program" tune "${arch[@]}" "${size[@]}" --precision $precision --batch-size "$tune_batch" --limit "$tune_s" --json
done
step "tune --train" $((tune_s + 30)) tune-train.json \
    "$program" tune "${arch[@]}" "${size[@]}" --train --batch-size "$tune_batch" --limit "$tune_s" --json

# PyTorch in turn with this program, so that a machine that slows down affects both.
torch=
if command -v python3 >/dev/null && timeout 60 python3 -c 'import torch' 2>/dev/null; then torch=yes; fi
torch_turn() {
    [[ -n $torch ]] || return 0
    step "PyTorch, turn $1" 60 "torch-$1.json" python3 "$(dirname "$script")/measure_torch.py" \
        --batch "$(IFS=,; echo "${batches[*]}")" --train "$train_batch" --network "${arch[1]}" --size "${size[1]:-224}"
}
script=$here/scripts/measure-gpu.sh
torch_turn 1
for precision in f32 f16; do
    for batch in "${batches[@]}"; do
        roofline=()
        if [[ $batch == 8 ]]; then roofline=(--roofline "roofline-$precision.svg"); fi
        bench tuned $precision "$batch" "${roofline[@]}"
    done
done
train tuned --roofline roofline-train.svg
torch_turn 2
[[ -n $torch ]] || printf 'PyTorch\tleft out\t0\tpython3 has no torch here\n' >>steps.tsv

"$program" results . || say "the page could not be written."
# A report of thousands of cases is large and repetitive.
if command -v gzip >/dev/null; then for file in verify.json; do if [[ -f $file ]]; then gzip -9 -n "$file"; fi; done; fi
folder=$output/$(date -u +%Y-%m-%d)-$slug
mkdir -p "$folder"
cp -r . "$folder/"
say "$SECONDS s; the page is $folder/README.md"
