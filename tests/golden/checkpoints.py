#!/usr/bin/env python3
"""Writes `checkpoints/`: the tiny network of pth.py as training scripts, libraries and old Pythons save it; folders of Hugging Face's hub; and
torch's logits of those networks whose file can't tell how they are run.

    venv/bin/python tests/golden/checkpoints.py

Every `.pth` without another word in `EXPECTED` (the Rust test's list) holds pth.py's hashed weights.
"""
import argparse
import collections
import enum
import io
import json
import pathlib
import pickle
import struct

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

import hashed
import networks
import pth

OUT = pathlib.Path(__file__).parent / "checkpoints"


class Phase(enum.Enum):
    TRAIN = 1


class State(collections.OrderedDict):
    """A subclass, as some libraries have."""


class Python2(pickle._Pickler):
    """Writes text as Python 2 wrote `str`, and OrderedDict as its `__reduce__` gave it."""

    def __init__(self, file, protocol=2, **_):
        super().__init__(file, protocol, fix_imports=True)

    def save_text(self, text):
        data = text.encode("latin-1")
        if not self.bin:
            self.write(b"S" + repr(text).encode("ascii") + b"\n")
        elif len(data) < 256:
            self.write(b"U" + bytes([len(data)]) + data)
        else:
            self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    def save_ordered(self, ordered):
        self.save_reduce(type(ordered), ([list(pair) for pair in ordered.items()],), obj=ordered)

    dispatch = pickle._Pickler.dispatch | {str: save_text, collections.OrderedDict: save_ordered}


class Python2Module:
    """What torch takes for the module `pickle`."""

    Pickler = Python2

    @staticmethod
    def dump(value, file, protocol):
        Python2(file, protocol).dump(value)


def flat(state):
    """The same tensors as views of one storage each type, so that files are small."""
    floats = torch.cat([t.reshape(-1) for t in state.values() if t.is_floating_point()])
    counter, at, out = torch.zeros((), dtype=torch.int64), 0, collections.OrderedDict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            out[name] = floats[at : at + tensor.numel()].view(tensor.shape)
            at += tensor.numel()
        else:
            out[name] = counter
    return out


def prefixed(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def net(description):
    module = networks.ResNet(description).eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    module.load_state_dict({n: torch.from_numpy(np.asarray(t)) for n, t in hashed.state_dict(shapes).items()})
    return module


def checkpoints(state):
    renamed = lambda head: {n.replace("fc.", f"{head}."): t for n, t in state.items()}
    body = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    buffer = torch.ones(2)
    optimizer = {"state": {0: {"step": torch.tensor(3.0), "momentum_buffer": buffer}}, "param_groups": [{"lr": 0.1, "params": [0], "nesterov": False}]}
    other = flat({name: 2 * tensor for name, tensor in state.items()})
    return {
        "trainer": {"epoch": 3, "arch": "resnet18", "state_dict": prefixed("module.", state), "best_acc1": torch.tensor(70.0), "optimizer": optimizer,
                    "rng_state": torch.zeros(16, dtype=torch.uint8), "loss": 0.25, "scheduler": {"milestones": collections.Counter({30: 1}), "last_epoch": 3}},
        "averaged": prefixed("module.", state) | {"n_averaged": torch.tensor(5)},
        "ema": {"state_dict_ema": state},
        "model-ema": {"model_ema": prefixed("module.", state) | {"n_averaged": torch.tensor(5)}, "epoch": 1},
        "lightning": {"pytorch-lightning_version": "2.1.0", "global_step": 7, "hparams_name": "kwargs", "hyper_parameters": {"lr": 1e-3, "args": argparse.Namespace(lr=1e-3)},
                      "state_dict": prefixed("net.", state) | {"criterion.pos_weight": torch.ones(3), "train_acc.correct": torch.zeros(()), "val_metric.total": torch.zeros(())}},
        "contrastive": {"state_dict": prefixed("module.encoder_q.", state) | {"module.queue": torch.ones(4, 2), "module.queue_ptr": torch.zeros(1, dtype=torch.int64)}},
        "nested": {"run": [{"payload": ({"weights": {"net": state}}, None)}]},
        "head-beside": prefixed("module.backbone.", body) | {"module.head.weight": state["fc.weight"], "module.head.bias": state["fc.bias"]},
        "head-in-sequence": renamed("fc.1"),
        "last-linear": renamed("last_linear"),
        "no-bias": {name: tensor for name, tensor in state.items() if name != "fc.bias"},
        "headless": body,
        "several": {"state_dict": state, "state_dict_ema": other},
        "shortcut": {name.replace("downsample", "shortcut").replace("fc.", "linear."): tensor for name, tensor in state.items()},
        "objects": {"size": torch.Size([1, 2]), "device": torch.device("cpu"), "dtype": torch.float32, "names": {"a", "b"}, "frozen": frozenset([1]), "raw": b"\xff\0",
                    "raw2": bytearray(b"ab"), "complex": 1j, "big": 1 << 200, "negative": -5, "path": pathlib.PurePosixPath("a/b"), "phase": Phase.TRAIN, "number": np.float64(0.5),
                    "array": np.arange(3), "default": collections.defaultdict(list, {"a": [1.5]}), "slice": slice(1, 2), "spectrum": torch.ones(2, dtype=torch.complex64),
                    "state_dict": State(state), "args": argparse.Namespace(lr=0.1, betas=(0.9, 0.999))},
        "parameters": {"model": {name: nn.Parameter(t) if t.is_floating_point() else t for name, t in state.items()}},
    }


def folders(state):
    """A v1 bottleneck network under `transformers`' names with its configuration, and the tiny network in two files of either kind."""
    v1 = networks.architecture(depths=(1, 1), widths=[4, 8], stem={"kind": "imagenet", "width": 4, "pool": {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": False}},
                               stride_in="1x1", classes=3)
    module = net(v1)
    folder = OUT / "transformers"
    folder.mkdir(exist_ok=True)
    theirs = lambda name: pth.transformers(name).replace("downsample", "shortcut")
    save_file({theirs(name): tensor.clone() for name, tensor in module.state_dict().items()}, folder / "model.safetensors")
    config = {"architectures": ["ResNetForImageClassification"], "model_type": "resnet", "depths": [1, 1], "hidden_sizes": [16, 32], "embedding_size": 4, "hidden_act": "relu",
              "layer_type": "bottleneck", "downsample_in_bottleneck": True, "downsample_in_first_stage": False, "num_channels": 3, "id2label": {"0": "cat", "1": "dog", "2": "owl"}}
    processor = {"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.875, "size": {"shortest_edge": 28}, "resample": 3, "do_normalize": True, "do_rescale": True,
                 "rescale_factor": 1 / 255, "image_mean": [0.5, 0.25, 0.125], "image_std": [0.5, 0.5, 0.25]}
    for name, content in (("config", config), ("preprocessor_config", processor)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    names = list(state)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    for kind, stem, end in (("sharded", "model", "safetensors"), ("sharded-bin", "pytorch_model", "bin")):
        folder = OUT / kind
        folder.mkdir(exist_ok=True)
        places = {}
        for i, half in enumerate(halves, 1):
            file = f"{stem}-0000{i}-of-00002.{end}"
            places |= dict.fromkeys(half, file)
            tensors = {name: state[name].clone() for name in half}
            save_file(tensors, folder / file) if end == "safetensors" else torch.save(flat(tensors), folder / file)
        index = f"{stem}.safetensors.index.json" if end == "safetensors" else f"{stem}.bin.index.json"
        (folder / index).write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": places}, indent=1) + "\n")
    return v1


def logits(v1):
    """torch's logits of networks whose tensors are alike however they are run; the weights are hashed, the input is `hashed.values("input")`."""
    cifar = lambda **changes: networks.architecture("basic", (1, 1), widths=[8, 16], classes=3, **({"stem": {"kind": "cifar", "width": 8}} | changes))
    pool = {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": False}
    described = {
        "v1": v1,
        "v1.5": v1 | {"stride_in": "3x3"},
        "eps": cifar(bn_eps=1e-2),
        "pool": cifar(stem={"kind": "cifar", "width": 8, "pool": pool}),
        "zero-pad": cifar(shortcut="zero-pad"),
        "zero-pad-both": cifar(shortcut="zero-pad-both"),
    }
    with torch.no_grad():
        found = {name: net(a).double()(torch.from_numpy(hashed.values("input", (2, 3, 32, 32))).double()).float() for name, a in described.items()}
        tiny = net(networks.architecture("basic", (1, 1), widths=[2, 4], stem={"kind": "cifar", "width": 2}, classes=3)).double()
        found["tiny"] = tiny(torch.from_numpy(hashed.values("input", (2, 3, 32, 32))).double()).float()
        tiny.fc.bias.zero_()
        found["no-bias"] = tiny(torch.from_numpy(hashed.values("input", (2, 3, 32, 32))).double()).float()
    save_file(found, OUT / "logits.safetensors", {f"architecture.{name}": json.dumps(a) for name, a in described.items()})


def main():
    OUT.mkdir(exist_ok=True)
    whole = {name: torch.from_numpy(np.asarray(hashed.parameter(name, shape, 4))) for name, shape in pth.shapes().items()}
    state = flat(whole)
    for name, content in checkpoints(state).items():
        torch.save(content, OUT / f"{name}.pth")
    torch.save(net(networks.architecture("basic", (1, 1), widths=[2, 4], stem={"kind": "cifar", "width": 2}, classes=3)), OUT / "module.pth")
    for protocol in (1, 2):
        torch.save({"epoch": 1, "state_dict": state, "name": "r\xe9seau"}, OUT / f"python2-{protocol}.pth", pickle_module=Python2Module, pickle_protocol=protocol,
                   _use_new_zipfile_serialization=False)
    torch.save(state, OUT / "protocol5.pth", pickle_protocol=5)
    torch.save(state, OUT / "protocol4-plain.pth", pickle_protocol=4, _use_new_zipfile_serialization=False)
    logits(folders(whole))


if __name__ == "__main__":
    main()
