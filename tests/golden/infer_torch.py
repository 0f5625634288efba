#!/usr/bin/env python3
"""Holds `gpu-resnet infer` to torchvision's ResNet-50 on a state dict with random, well-scaled weights: logits, and peak memory.

    venv/bin/python tests/golden/infer_torch.py [BINARY] [--adapter N] [--backend vulkan] [--batch-size 1 8]

Fails (exit status 1) where a logit differs by more than 1e-4 of the largest, or the process held more than 1.5 GiB. A reference with one
weight of each convolution changed must be told apart, or the comparison would prove nothing.
"""
import copy
import pathlib
import sys
import tempfile

import torch
import torchvision
from safetensors.torch import load_file, save_file

from binary import Binary, parser

LIMIT, MEMORY = 1e-4, 1.5 * 2**30


def scaled_network(seed, make=torchvision.models.resnet50, size=224):
    """A network (ResNet-50) for images of side `size` with random weights whose running statistics fit them, so that activations stay near 1."""
    torch.manual_seed(seed)
    net = make(weights=None)
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_(0, 0.1)
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, size, size))
    return net.eval()


def damaged(net):
    """The same network with the first weight of every convolution's every tenth channel set to 1."""
    net = copy.deepcopy(net)
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data[::10, 0, 0, 0] = 1
    return net


def main():
    arguments = parser(__doc__.split("\n")[0])
    arguments.add_argument("--batch-size", type=int, nargs="+", default=[1, 8])
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    binary = Binary(options)
    net = scaled_network(options.seed)
    broken = damaged(net)
    good = True
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        weights, source, result = (pathlib.Path(folder) / f"{name}.safetensors" for name in ("weights", "x", "y"))
        save_file({key: value.contiguous() for key, value in net.state_dict().items()}, weights)
        for batch in options.batch_size:
            x = torch.randn(batch, 3, 224, 224)
            save_file({"input": x}, source)
            result.unlink(missing_ok=True)
            usage = binary.measure(folder, "-q", "infer", "--weights", weights, "--tensor", source, "--batch-size", batch, "--save-logits", result)
            found, wanted = load_file(result)["logits"].double(), net.double()(x.double())
            net.float()
            share = lambda reference: float((found - reference).abs().max() / reference.abs().max())
            error, control = share(wanted), share(broken(x).double())
            ok = error <= LIMIT and usage["peak_bytes"] <= MEMORY and control > LIMIT
            good &= ok
            print(f"{'ok  ' if ok else 'FAIL'} batch {batch}: largest difference {error:.1e} of the largest logit {wanted.abs().max():.3f} (limit {LIMIT:.0e}; "
                  f"damaged weights {control:.1e}), peak memory {usage['peak_bytes'] / 2**20:.0f} MiB (limit {MEMORY / 2**20:.0f}), {usage['seconds']:.1f} s in all")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
