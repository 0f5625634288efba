#!/usr/bin/env python3
"""Runs every operation, forward and backward, and the optimisers through the built `gpu-resnet op`, on random shapes, against torch in f64.

    venv/bin/python tests/golden/ops.py [BINARY] [--adapter N] [--backend vulkan] [--filter conv2d] [--count 6] [--seed 0]

Prints the normalised mean square error of every output and fails (exit status 1) where one is above 1e-9. For each operation one right
output is also compared with a reference for other inputs, which must not pass: a check that can't fail would prove nothing.
"""
import pathlib
import random
import re
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from binary import Binary, parser

LIMIT = 1e-9


def nmse(found, wanted):
    found, wanted = found.double().reshape(-1), wanted.double().reshape(-1)
    if found.shape != wanted.shape or not torch.isfinite(found).all():
        return float("inf")
    return float(((found - wanted) ** 2).sum() / max(float((wanted**2).sum()), 1e-30))


class Case:
    """One run: the operation, its attributes, its input tensors (f32, or i64 for targets), and how torch computes its outputs."""

    def __init__(self, op, attributes, tensors, reference):
        self.op, self.attributes, self.tensors, self.reference = op, attributes, tensors, reference

    def expected(self, tensors=None):
        tensors = tensors or self.tensors
        return self.reference({key: value.double() if value.is_floating_point() else value for key, value in tensors.items()})

    def settings(self):
        text = lambda v: ("true" if v else "false") if isinstance(v, bool) else ",".join(map(str, v)) if isinstance(v, (tuple, list)) else str(v)
        return [f"{key}={text(value)}" for key, value in self.attributes.items()]

    def __str__(self):
        shapes = " ".join(f"{key}{list(value.shape)}".replace(" ", "") for key, value in self.tensors.items())
        return f"{self.op} {shapes} {' '.join(self.settings())}".strip()


def tensor(*shape):
    return torch.randn(*shape)


def image(r, channels=None):
    return tensor(r.choice([1, 2, 3]), channels or r.randint(1, 9), r.randint(5, 19), r.randint(5, 23))


def pair(r, choices):
    """The same number on both axes, or one for each."""
    return r.choice([r.choice(choices), (r.choice(choices), r.choice(choices))])


def conv2d(r):
    groups = r.choice([1, 1, 1, 2, 3, 4])
    inputs, outputs = groups * r.randint(1, 9), groups * r.randint(1, 12)
    kernel = r.choice([(1, 1), (3, 3), (3, 3), (5, 2), (7, 7)])
    a = {"stride": pair(r, [1, 2, 3, 4]), "padding": pair(r, [0, 1, 3]), "dilation": pair(r, [1, 1, 2]), "groups": groups}
    x = tensor(r.choice([1, 2, 5]), inputs, r.randint(14, 33), r.randint(14, 29))
    t = {"input": x, "weight": tensor(outputs, inputs // groups, *kernel)}
    if r.random() < 0.5:
        t["bias"] = tensor(outputs)
    return Case("conv2d", a, t, lambda t: {"output": F.conv2d(t["input"], t["weight"], t.get("bias"), **a)})


def conv2d_resnet(r):
    inputs, outputs, kernel, stride, size = r.choice([(3, 64, 7, 2, 64), (64, 64, 3, 1, 28), (256, 128, 1, 2, 14), (512, 512, 3, 2, 7), (256, 1024, 1, 1, 7)])
    a = {"stride": stride, "padding": kernel // 2}
    t = {"input": tensor(r.choice([1, 3]), inputs, size, size), "weight": tensor(outputs, inputs, kernel, kernel) / (inputs * kernel**2) ** 0.5}
    return Case("conv2d", a, t, lambda t: {"output": F.conv2d(t["input"], t["weight"], t.get("bias"), **a)})


def batch_norm(r):
    x = image(r)
    c = x.shape[1]
    a = {"training": r.random() < 0.5, "eps": r.choice([1e-5, 1e-3]), "momentum": r.choice([0.1, 0.7])}
    t = {"input": 2 * x + 1, "weight": tensor(c), "bias": tensor(c), "running_mean": tensor(c), "running_var": torch.rand(c) + 0.5}

    def reference(t):
        mean, variance = t["running_mean"].clone(), t["running_var"].clone()
        y = {"output": F.batch_norm(t["input"], mean, variance, t["weight"], t["bias"], **a)}
        return y | ({"running_mean": mean, "running_var": variance} if a["training"] else {})

    return Case("batch_norm", a, t, reference)


def relu(r):
    return Case("relu", {}, {"input": image(r)}, lambda t: {"output": F.relu(t["input"])})


def add(r):
    x = image(r)
    return Case("add", {}, {"input": x, "other": torch.randn_like(x)}, lambda t: {"output": t["input"] + t["other"]})


def add_relu(r):
    x = image(r)
    return Case("add_relu", {}, {"input": x, "other": torch.randn_like(x)}, lambda t: {"output": F.relu(t["input"] + t["other"])})


def pool(op, function, ceil_mode):
    def make(r):
        kernel = pair(r, [2, 3, 4])
        smallest = min(kernel) if isinstance(kernel, tuple) else kernel
        a = {"kernel_size": kernel, "stride": pair(r, [1, 2, 3]), "padding": r.randint(0, smallest // 2)}
        if ceil_mode:
            a["ceil_mode"] = r.random() < 0.5
        return Case(op, a, {"input": image(r) - 3}, lambda t: {"output": function(t["input"], **a)})
    return make


def global_avg_pool(r):
    return Case("global_avg_pool", {}, {"input": image(r)}, lambda t: {"output": t["input"].mean((2, 3))})


def linear(r):
    n, i, o = r.randint(1, 33), r.choice([1, 7, 64, 513, 2048]), r.choice([1, 2, 10, 101])
    t = {"input": tensor(n, i), "weight": tensor(o, i) / i**0.5}
    if r.random() < 0.7:
        t["bias"] = tensor(o)
    return Case("linear", {}, t, lambda t: {"output": F.linear(t["input"], t["weight"], t.get("bias"))})


def backward(make, *keys):
    """The gradients of a forward case by its tensors `keys`, by torch's autograd."""
    def make_backward(r):
        case = make(r)
        t = {key: value for key, value in case.tensors.items() if key != "bias"}
        t["grad_output"] = torch.randn_like(case.expected()["output"], dtype=torch.float32)

        def reference(t):
            leaves = {key: t[key].clone().requires_grad_() for key in keys if key != "bias"}
            if "bias" in keys:  # no gradient depends on its value
                leaves["bias"] = torch.zeros(len(t["weight"]), dtype=torch.float64, requires_grad=True)
            output = case.reference(t | leaves)["output"]
            return {f"grad_{key}": grad for key, grad in zip(leaves, torch.autograd.grad(output, leaves.values(), t["grad_output"]))}

        return Case(f"{case.op}_backward", {key: value for key, value in case.attributes.items() if key != "momentum"}, t, reference)
    return make_backward


def with_ties(make):
    """The same on few different values, so that most windows have several maxima."""
    def make_ties(r):
        case = make(r)
        case.tensors["input"] = case.tensors["input"].round()
        return case
    return make_ties


def cross_entropy(r):
    n, classes = r.randint(1, 40), r.choice([2, 3, 10, 257, 1000])
    a = {"label_smoothing": r.choice([0.0, 0.1, 0.35])}
    t = {"input": r.choice([1, 8]) * tensor(n, classes), "target": torch.randint(classes, (n,))}

    def reference(t):
        x = t["input"].clone().requires_grad_()
        loss = F.cross_entropy(x, t["target"], **a)
        return {"loss": loss.detach(), "grad_input": torch.autograd.grad(loss, x)[0]}

    return Case("cross_entropy", a, t, reference)


def optimiser(op, torch_class, options, state_names):
    def make(r):
        a = options(r)
        p = tensor(*r.choice([(1,), (7,), (10, 33), (10, 2048), (64, 3, 7, 7)]))
        t = {"param": p, "grad": torch.randn_like(p)}
        names = state_names if op != "sgd" or a["momentum"] else []
        if r.random() < 0.7:  # in the middle of a run; otherwise its first step, without state
            for name in names:
                t[name] = torch.tensor([float(r.randint(1, 999))]) if name == "step" else torch.randn_like(p).abs() if name == "exp_avg_sq" else torch.randn_like(p)

        def reference(t):
            parameter = torch.nn.Parameter(t["param"].clone())
            optimiser = torch_class([parameter], **a)
            given = {name: t[name].reshape(()) if name == "step" else t[name].clone() for name in names if name in t}
            if given:
                optimiser.state[parameter] = given
            parameter.grad = t["grad"].clone()
            optimiser.step()
            return {"param": parameter.detach()} | {name: optimiser.state[parameter][name].detach() for name in names}

        return Case(op, a, t, reference)
    return make


def adam_options(r):
    return {"lr": r.choice([1e-3, 0.1]), "betas": r.choice([(0.9, 0.999), (0.8, 0.95)]), "eps": r.choice([1e-8, 1e-4]), "weight_decay": r.choice([0.0, 0.01])}


def sgd_options(r):
    nesterov = r.random() < 0.4
    return {"lr": r.choice([1e-2, 0.3]), "momentum": 0.9 if nesterov else r.choice([0.0, 0.9]), "dampening": 0.0 if nesterov else r.choice([0.0, 0.2]),
            "weight_decay": r.choice([0.0, 1e-4, 0.1]), "nesterov": nesterov}


max_pool2d, avg_pool2d = pool("max_pool2d", F.max_pool2d, True), pool("avg_pool2d", F.avg_pool2d, False)

MAKERS = {
    "conv2d": conv2d, "conv2d (ResNet's shapes)": conv2d_resnet, "batch_norm": batch_norm, "relu": relu, "add": add, "add_relu": add_relu,
    "max_pool2d": max_pool2d, "avg_pool2d": avg_pool2d, "global_avg_pool": global_avg_pool, "linear": linear, "cross_entropy": cross_entropy,
    "conv2d_backward": backward(conv2d, "input", "weight", "bias"),
    "conv2d_backward (ResNet's shapes)": backward(conv2d_resnet, "input", "weight", "bias"),
    "batch_norm_backward": backward(batch_norm, "input", "weight", "bias"),
    "relu_backward": backward(relu, "input"), "add_relu_backward": backward(add_relu, "input", "other"),
    "max_pool2d_backward": backward(max_pool2d, "input"), "max_pool2d_backward (ties)": backward(with_ties(max_pool2d), "input"),
    "avg_pool2d_backward": backward(avg_pool2d, "input"), "global_avg_pool_backward": backward(global_avg_pool, "input"),
    "linear_backward": backward(linear, "input", "weight", "bias"),
    "adam": optimiser("adam", torch.optim.Adam, adam_options, ["exp_avg", "exp_avg_sq", "step"]),
    "adamw": optimiser("adamw", torch.optim.AdamW, adam_options, ["exp_avg", "exp_avg_sq", "step"]),
    "sgd": optimiser("sgd", torch.optim.SGD, sgd_options, ["momentum_buffer"]),
}


def run(binary, case, folder):
    """{key: (error, found)} for every output that torch gives."""
    source, result = folder / "in.safetensors", folder / "out.safetensors"
    result.unlink(missing_ok=True)
    save_file({key: value.contiguous() for key, value in case.tensors.items()}, source)
    binary.run("op", case.op, "--input", source, "--output", result, *(part for setting in case.settings() for part in ("--set", setting)))
    found = load_file(result)
    wanted = case.expected()
    missing = set(wanted) - set(found)
    if missing:
        raise RuntimeError(f"no {', '.join(sorted(missing))} in the output, only {', '.join(sorted(found))}")
    return {key: (nmse(found[key], value), found[key]) for key, value in wanted.items()}


def control_passes(case, outputs):
    """Whether our outputs would also pass as those of the same operation on changed inputs."""
    changed = {key: value * 1.001 + 1e-3 if value.is_floating_point() and key != "step" else value for key, value in case.tensors.items()}
    return all(nmse(outputs[key][1], value) <= LIMIT for key, value in case.expected(changed).items())


def main():
    arguments = parser(__doc__.split("\n")[0])
    arguments.add_argument("--filter", default="", help="a regular expression for the operations")
    arguments.add_argument("--count", type=int, default=6, help="cases of each operation")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    binary = Binary(options)
    failed, worst = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name, make in MAKERS.items():
            if not re.search(options.filter, name):
                continue
            for index in range(options.count):
                torch.manual_seed(options.seed * 1000 + index)
                case = make(random.Random(f"{name} {options.seed} {index}"))
                try:
                    outputs = run(binary, case, pathlib.Path(folder))
                except RuntimeError as error:
                    print(f"FAIL {case}: {error}")
                    failed.append(case)
                    continue
                good = all(error <= LIMIT for error, _ in outputs.values())
                worst = max([worst] + [error for error, _ in outputs.values()])
                print(f"{'ok  ' if good else 'FAIL'} {case}: " + " ".join(f"{key} {error:.1e}" for key, (error, _) in outputs.items()))
                if not good:
                    failed.append(case)
                elif index == 0 and control_passes(case, outputs):
                    print(f"FAIL {case}: a reference for other inputs passes too; this check proves nothing")
                    failed.append(case)
    print(f"{len(failed)} failed; the largest error is {worst:.1e}, the limit {LIMIT:.0e}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
