#!/usr/bin/env python3
"""Holds `gpu-resnet gradients` to torch autograd in f64: loss, input gradient, and the gradient of every parameter.

    venv/bin/python tests/golden/gradients_torch.py [BINARY] [--adapter N] [--backend vulkan] [--size 64] [--net resnet50 resnet18] [--bn eval train]

The measure is the relative RMS error of each tensor. Ours may be at most four times that of torch's own f32 gradient of the same parameter
(or 1e-6, where torch is better than that). A reference with a slightly different epsilon must fail by the same measure, or the comparison would
prove nothing.
"""
import copy
import pathlib
import sys
import tempfile

import torch
import torchvision
from safetensors.torch import load_file, save_file

from binary import Binary, parser
from infer_torch import scaled_network

FACTOR, FLOOR = 4, 1e-6


def gradients(net, x, target, training):
    net = net.train() if training else net.eval()
    net.zero_grad(set_to_none=True)
    x = x.clone().requires_grad_(True)
    logits = net(x)
    loss = torch.nn.functional.cross_entropy(logits, target)
    loss.backward()
    found = {f"grad.{name}": p.grad.detach() for name, p in net.named_parameters()}
    return found | {"loss": loss.detach().reshape(1), "logits": logits.detach(), "grad.input": x.grad}


def error(found, expected):
    difference = found.double() - expected
    return float((difference.square().mean() / expected.square().mean().clamp_min(1e-300)).sqrt())


def main():
    arguments = parser(__doc__.split("\n")[0])
    arguments.add_argument("--net", nargs="+", default=["resnet50", "resnet18"])
    arguments.add_argument("--size", type=int, default=64)
    arguments.add_argument("--batch-size", type=int, default=4)
    arguments.add_argument("--bn", nargs="+", default=["eval", "train"])
    options = arguments.parse_args()
    binary = Binary(options)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        weights, source, result = (pathlib.Path(folder) / f"{name}.safetensors" for name in ("weights", "batch", "grads"))
        for name in options.net:
            net = scaled_network(0, getattr(torchvision.models, name))
            save_file({key: value.contiguous() for key, value in net.state_dict().items()}, weights)
            x = torch.randn(options.batch_size, 3, options.size, options.size)
            target = torch.randint(0, 1000, (options.batch_size,))
            save_file({"input": x, "target": target}, source)
            for bn in options.bn:
                exact = gradients(copy.deepcopy(net).double(), x.double(), target, bn == "train")
                single = gradients(copy.deepcopy(net), x, target, bn == "train")
                wrong = copy.deepcopy(net).double()
                for module in wrong.modules():
                    if isinstance(module, torch.nn.BatchNorm2d):
                        module.eps = 1e-4
                wrong = gradients(wrong, x.double(), target, bn == "train")
                binary.run("gradients", "--weights", weights, "--input", source, "--output", result, "--bn", bn)
                ours = load_file(result)
                missing = exact.keys() ^ ours.keys()
                worst, caught = (0, None), 0
                for key, expected in exact.items():
                    limit = max(FACTOR * error(single[key], expected), FACTOR * FLOOR)
                    mine = error(ours[key], expected) if key in ours and ours[key].shape == expected.shape else float("inf")
                    worst = max(worst, (mine / limit, key, mine, limit / FACTOR), key=lambda w: w[0])
                    caught += error(wrong[key], expected) > limit
                ok = not missing and worst[0] <= 1 and caught > len(exact) / 2
                good &= ok
                print(f"{'ok  ' if ok else 'FAIL'} {name} {options.size}x{options.size} batch {options.batch_size} bn {bn}: {len(exact)} tensors, worst {worst[0]:.2f} of its"
                      f" limit ({worst[1]}: {worst[2]:.1e}, torch f32 {worst[3]:.1e}); eps of 1e-4 is caught in {caught}" + (f"; keys differ: {sorted(missing)[:5]}" if missing else ""), flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
