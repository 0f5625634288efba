#!/usr/bin/env python3
"""Holds `gpu-resnet gradients` to torch autograd in f64: loss, input gradient, and the gradient of every parameter.

    venv/bin/python tests/golden/gradients_torch.py [BINARY] [--adapter N] [--backend vulkan] [--net NAME...] [--size 64] [--bn eval train] [--seed 0 1 2]

The measure is the relative RMS error of each tensor. Ours may be at most four times that of torch's own f32 gradient of the same parameter
(or 4e-6, where torch is better than 1e-6). A reference with a slightly different epsilon must fail by the same measure, or the comparison would
prove nothing.

Both errors are taken from the f64 gradient with the ReLUs and pool windows thrown the other way which f32 rounding throws (`switches.py`). For
torch those are read off its forward pass. For ours they are fitted to its gradient, from among those within six times the RMS error of torch's f32;
only a gradient that misses its limit as it is gets that far. At 224x224 that is the rule: a handful of ten million activations lie that near to
zero, and each changes single gradients by 1e-3 or so. docs/lab/2026-11-24-accuracy.md has figures.
"""
import copy
import json
import pathlib
import sys
import tempfile
import time

import torch
import torchvision
from safetensors.torch import load_file, save_file

import networks
import switches
from binary import Binary, parser
from infer_torch import scaled_network
from make import cifar20

FACTOR, FLOOR = 4, 1e-6

DESCRIBED = {
    "plain20": cifar20("plain"),
    "resnet20": cifar20("basic", "zero-pad"),
    "resnet20-projection": cifar20("basic", "projection"),
    "resnet20-projection-all": cifar20("basic", "projection-all"),
    "preact-resnet20": cifar20("preact-basic", "zero-pad"),
    "preact-resnet20-projection": cifar20("preact-basic", "projection"),
    "preact-resnet50": networks.architecture("preact-bottleneck"),
    "resnet50-v1": networks.architecture(stride_in="1x1"),
    "resnet18-projection-all": networks.architecture("basic", (2, 2, 2, 2), shortcut="projection-all"),
}
NETS = ["resnet50", "resnet18", "resnext50_32x4d", *DESCRIBED]


def make(name):
    """(a function that makes the network, the metadata of its file, the side of its images if that is fixed)."""
    if name not in DESCRIBED:
        return getattr(torchvision.models, name), None, None
    description = DESCRIBED[name]
    side = 32 if description["stem"]["kind"] == "cifar" else None
    return lambda weights: networks.ResNet(description), {"gpu_resnet.architecture": json.dumps(description)}, side


def error(found, expected):
    difference = found.double() - expected
    return float((difference.square().mean() / expected.square().mean().clamp_min(1e-300)).sqrt())


def shares(found, expected, limits):
    """{key: error as a share of its limit}; infinity where the shape is another."""
    good = lambda key: key in found and found[key].shape == expected[key].shape
    return {key: error(found[key], value) / limits[key] if good(key) else float("inf") for key, value in expected.items()}


class Case:
    """One network, batch and mode: torch's gradients, and how much a gradient may differ."""

    def __init__(self, net, x, target, training):
        self.single, self.double, self.x, self.target, self.training = copy.deepcopy(net), copy.deepcopy(net).double(), x, target, training
        self.candidates, self.flipped = switches.near(copy.deepcopy(self.double), copy.deepcopy(self.single), x, training)
        self.exact = self.f64()
        self.torch32 = switches.gradients(self.single, x, target, training)
        self.torch_raw = max(error(self.torch32[key], value) for key, value in self.exact.items())
        itself = self.f64(self.flipped) if self.flipped else self.exact
        self.torch_error = {key: error(self.torch32[key], value) for key, value in itself.items()}
        self.limits = {key: FACTOR * max(value, FLOOR) for key, value in self.torch_error.items()}
        self.rows = None

    def f64(self, flips=(), eps=None):
        net = copy.deepcopy(self.double)
        for module in net.modules():
            if eps and isinstance(module, torch.nn.BatchNorm2d):
                module.eps = eps
        return switches.gradients(net, self.x.double(), self.target, self.training, flips)

    def explained(self, found):
        """(shares of the limits with `found`'s own switches taken into account, those switches)."""
        plain = shares(found, self.exact, self.limits)
        if max(plain.values()) <= 1 or found.keys() ^ self.exact.keys() or not self.candidates:
            return plain, []
        if self.rows is None:
            self.rows = switches.effects(copy.deepcopy(self.double), self.x, self.target, self.training, self.candidates, self.exact)
        difference = switches.fitted({key: value.double() - self.exact[key] for key, value in found.items()}, self.exact)
        flips = switches.fit(self.rows, difference, self.candidates)
        return (shares(found, self.f64(flips), self.limits), flips) if flips else (plain, [])


def main():
    arguments = parser(__doc__.split("\n")[0])
    arguments.add_argument("--net", nargs="+", default=NETS, metavar="NAME", help=f"default: {' '.join(NETS)}")
    arguments.add_argument("--size", type=int, default=64, help="side of the images; the CIFAR networks' is 32")
    arguments.add_argument("--batch-size", type=int, default=4)
    arguments.add_argument("--bn", nargs="+", default=["eval", "train"])
    arguments.add_argument("--seed", nargs="+", type=int, default=[0])
    options = arguments.parse_args()
    binary = Binary(options)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        weights, source, result = (pathlib.Path(folder) / f"{name}.safetensors" for name in ("weights", "batch", "grads"))
        for name, seed in ((name, seed) for name in options.net for seed in options.seed):
            maker, metadata, side = make(name)
            side = side or options.size
            net = scaled_network(seed, maker, side)
            save_file({key: value.contiguous() for key, value in net.state_dict().items()}, weights, metadata)
            x = torch.randn(options.batch_size, 3, side, side)
            target = torch.randint(0, net.fc.out_features, (options.batch_size,))
            save_file({"input": x, "target": target}, source)
            for bn in options.bn:
                start = time.monotonic()
                case = Case(net, x, target, bn == "train")
                binary.run("gradients", "--weights", weights, "--input", source, "--output", result, "--bn", bn)
                ours = load_file(result)
                missing = case.exact.keys() ^ ours.keys()
                raw = max(error(ours[key], value) for key, value in case.exact.items() if key in ours)
                found, flips = case.explained(ours)
                worst = max(found, key=found.get)
                control, _ = case.explained(case.f64(eps=1e-4))
                caught = sum(share > 1 for share in control.values())
                refit = max(case.explained(case.torch32)[0].values())  # the fit must find torch's switches without seeing them
                ok = not missing and found[worst] <= 1 and caught > len(control) / 2 and refit <= 1
                good &= ok
                print(f"{'ok  ' if ok else 'FAIL'} {name} seed {seed} {side}x{side} batch {options.batch_size} bn {bn}: {len(found)} tensors, worst {found[worst]:.2f} of its limit"
                      f" ({worst}: {found[worst] * case.limits[worst]:.1e}, torch f32 {case.torch_error[worst]:.1e}); eps of 1e-4 is caught in {caught}"
                      + (f"; rounding can throw {len(case.candidates)} switches, torch threw {len(case.flipped)} (worst tensor {case.torch_raw:.1e} before they are taken into"
                         f" account, {max(case.torch_error.values()):.1e} after), ours {len(flips)} ({raw:.1e}, {max(found[key] * case.limits[key] for key in found):.1e}); torch's as fitted: {refit:.2f} of the limit" if flips or case.flipped else "")
                      + (f"; keys differ: {sorted(missing)[:5]}" if missing else "") + f"; {time.monotonic() - start:.0f} s", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
