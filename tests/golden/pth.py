#!/usr/bin/env python3
"""Writes `pth/`: PyTorch checkpoints of one tiny network with hashed weights in every form that is read, and in forms that must be refused.

    venv/bin/python tests/golden/pth.py

Nothing of the refused ones is ever run here either: they are only written. The network is CIFAR-style, [1, 1] basic blocks of 2 and 4 channels, 3 classes.
"""
import collections
import os
import pathlib
import zipfile

import numpy as np
import torch
from safetensors.torch import save_file

import hashed

OUT = pathlib.Path(__file__).parent / "pth"


def shapes():
    found = {"conv1.weight": (2, 3, 3, 3)}

    def bn(name, channels):
        found.update({f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")})
        found[f"{name}.num_batches_tracked"] = ()

    bn("bn1", 2)
    for stage, (inputs, width) in enumerate([(2, 2), (2, 4)], 1):
        block = f"layer{stage}.0"
        for number, channels in ((1, inputs), (2, width)):
            found[f"{block}.conv{number}.weight"] = (width, channels, 3, 3)
            bn(f"{block}.bn{number}", width)
        if inputs != width:
            found[f"{block}.downsample.0.weight"] = (width, inputs, 1, 1)
            bn(f"{block}.downsample.1", width)
    found["fc.weight"], found["fc.bias"] = (3, 4), (3,)
    return found


def cast(state, dtype):
    return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def transformers(name):
    """A name of the state dict as Hugging Face's ResNetForImageClassification has it."""
    parts = name.split(".")
    kind = lambda part: "convolution" if part.startswith("conv") or part == "0" else "normalization"
    if parts[0] == "fc":
        return f"classifier.1.{parts[1]}"
    if parts[0] in ("conv1", "bn1"):
        return f"resnet.embedder.embedder.{kind(parts[0])}.{parts[1]}"
    block = f"resnet.encoder.stages.{int(parts[0][5:]) - 1}.layers.{parts[1]}"
    if parts[2] == "downsample":
        return f"{block}.shortcut.{kind(parts[3])}.{parts[4]}"
    return f"{block}.layer.{int(parts[2][-1]) - 1}.{kind(parts[2])}.{parts[3]}"


class Shell:
    """What a hostile file is made of: unpickled by Python, it would run a command."""

    def __reduce__(self):
        return os.system, ("touch /tmp/gpu-resnet-ran-a-pickle",)


def main():
    OUT.mkdir(exist_ok=True)
    state = {name: torch.from_numpy(np.asarray(hashed.parameter(name, shape, 4))) for name, shape in shapes().items()}
    state = collections.OrderedDict(state)
    torch.save(state, OUT / "zip.pth")
    torch.save(state, OUT / "plain.pth", _use_new_zipfile_serialization=False)
    for name, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16), ("f64", torch.float64)):
        torch.save(cast(state, dtype), OUT / f"{name}.pth")
    strided = {n: t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for n, t in state.items()}
    whole = torch.cat([state["fc.weight"].T.contiguous().reshape(-1), state["fc.bias"]])
    strided["fc.weight"], strided["fc.bias"] = whole[:12].reshape(4, 3).T, whole[12:]
    torch.save(strided, OUT / "strided.pth")
    parameters = {f"module.{n}": torch.nn.Parameter(t) if t.is_floating_point() else t for n, t in state.items()}
    torch.save({"epoch": 3, "loss": 0.5, "state_dict": parameters, "args": {"lr": [0.1, None, True]}}, OUT / "training.pth")
    torch.save({transformers(name): tensor for name, tensor in state.items()}, OUT / "transformers.pth")
    save_file({transformers(name): tensor.clone() for name, tensor in state.items()}, OUT / "transformers.safetensors")

    torch.save({**state, "extra": Shell()}, OUT / "refused-shell.pth")
    torch.save({**state, "extra": Shell()}, OUT / "refused-shell-plain.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), OUT / "refused-module.pth")
    torch.save({**state, "fc.weight": torch.zeros(1).expand(3, 4)}, OUT / "expanded.pth")
    torch.save([1, 2], OUT / "refused-list.pth")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), OUT / "refused-script.pth")
    with zipfile.ZipFile(OUT / "zip.pth") as good:
        entries = {name: good.read(name) for name in good.namelist()}
    for name, change, how in (
        ("deflated", lambda n: n, zipfile.ZIP_DEFLATED),
        ("path", lambda n: n.replace("zip/data/0", "zip/../../data/0"), zipfile.ZIP_STORED),
    ):
        with zipfile.ZipFile(OUT / f"refused-{name}.pth", "w", how) as bad:
            for entry, data in entries.items():
                bad.writestr(zipfile.ZipInfo(change(entry)), data, how)


if __name__ == "__main__":
    main()
