"""Makes reference.safetensors: what PyTorch computes in f64, for tests/reference.rs to compare the CPU twins with.

    python tests/golden/reference.py        (needs torch and safetensors; made with torch 2.15)

Only outputs are stored. Inputs are integer hashes of "CASE.TENSOR", which the Rust test makes again; the list of cases
(operation, inputs with shape and kind of values, attributes) is JSON in the file's metadata under "cases".
"""

import json
import math
import os
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save

torch.use_deterministic_algorithms(True)
cases, tensors = [], {}


def mix(name, count):
    """SplitMix64 seeded with the FNV-1a hash of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def values(name, shape, kind):
    z = mix(name, math.prod(shape))
    if kind.startswith("below "):  # integers from 0 to below a limit
        return torch.from_numpy(((z >> np.uint64(33)) % np.uint64(int(kind[6:]))).astype(np.int64)).reshape(shape)
    u = (z >> np.uint64(40)).astype(np.float64) / 2**24
    x = 4 * u - 2
    i = np.arange(len(x))
    if kind == "ties":  # few distinct values, zero among them
        x = np.floor(5 * u) - 2
    elif kind == "nan":
        x[i % 11 == 5] = np.nan
    elif kind == "special":
        x[i % 11 == 3], x[i % 11 == 5], x[i % 11 == 8] = np.nan, np.inf, -np.inf
    elif kind == "minus infinity":
        x[i % 5 == 1] = -np.inf
    elif kind == "positive":
        x = 0.5 + u
    elif kind == "offset":
        x = x + 10
    elif kind == "zero":
        x = x * 0
    elif kind == "large":
        x = x * 2.0**100
    elif kind == "small":
        x = x * 2.0**-100
    else:
        assert kind == "uniform", kind
    return torch.from_numpy(x).reshape(shape)


def case(op, label, inputs, run, **attributes):
    """Runs one case and keeps its outputs. An input is a shape or (kind, shape)."""
    name = f"{op}/{label}"
    described = {}
    for key, value in inputs.items():
        kind, shape = value if isinstance(value, tuple) else ("uniform", value)
        described[key] = {"kind": kind, "shape": shape}
    made = {key: values(f"{name}.{key}", d["shape"], d["kind"]) for key, d in described.items()}
    outputs = run(name, made, attributes)
    cases.append({"name": name, "op": op, "inputs": described, "attributes": attributes, "outputs": sorted(outputs)})
    for key, value in outputs.items():
        tensors[f"{name}.{key}"] = np.ascontiguousarray(value.detach().numpy().astype(np.float64))


def differentiated(name, forward, made, wanted):
    """Output and gradients of a forward function for a hashed, non-unit upstream gradient."""
    leaves = {key: made[key].clone().requires_grad_() for key in wanted}
    output = forward(**{**made, **leaves})
    upstream = values(f"{name}.grad_output", output.shape, "uniform")
    grads = torch.autograd.grad(output, list(leaves.values()), upstream)
    return {"output": output, **{f"grad_{key}": grad for key, grad in zip(wanted, grads)}}


def conv2d(name, made, a):
    wanted = list(made)
    return differentiated(name, lambda input, weight, bias=None: F.conv2d(input, weight, bias, **a), made, wanted)


def conv(label, input, weight, bias=True, kind="uniform", **a):
    attributes = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, **a}
    inputs = {"input": (kind, input), "weight": weight}
    if bias:
        inputs["bias"] = weight[:1]
    case("conv2d", label, inputs, conv2d, **attributes)


conv("default", [2, 3, 5, 4], [4, 3, 3, 3])
conv("no bias", [1, 3, 5, 4], [2, 3, 3, 3], bias=False)
conv("1x1", [2, 5, 3, 3], [3, 5, 1, 1])
conv("1x1 stride 2", [2, 4, 5, 6], [3, 4, 1, 1], stride=[2, 2])
conv("3x3 padding", [1, 3, 7, 7], [4, 3, 3, 3], padding=[1, 1])
conv("3x3 stride 2", [2, 2, 8, 7], [3, 2, 3, 3], stride=[2, 2], padding=[1, 1])
conv("stem", [1, 3, 11, 12], [2, 3, 7, 7], stride=[2, 2], padding=[3, 3])
conv("uneven", [1, 2, 9, 8], [3, 2, 2, 3], stride=[2, 3], padding=[3, 1], dilation=[3, 2])
conv("groups", [2, 6, 4, 5], [4, 3, 3, 2], groups=2, padding=[1, 0])
conv("depthwise", [1, 7, 5, 5], [7, 1, 3, 3], groups=7, padding=[1, 1])
conv("depthwise multiplier", [1, 3, 5, 5], [9, 1, 3, 3], groups=3, dilation=[2, 2], padding=[2, 2])
conv("single value", [1, 1, 1, 1], [1, 1, 1, 1])
conv("padding over the kernel", [1, 2, 2, 3], [2, 2, 2, 2], padding=[4, 3])
conv("kernel as the input", [2, 3, 4, 3], [5, 3, 4, 3])
conv("taps that miss", [1, 1, 1, 2], [2, 1, 3, 5], stride=[4, 4], padding=[3, 4])
conv("nan", [1, 2, 5, 5], [2, 2, 3, 3], kind="nan", stride=[2, 2])
conv("infinite", [1, 1, 4, 6], [2, 1, 2, 2], kind="special")
conv("large", [1, 2, 4, 4], [2, 2, 3, 3], kind="large", padding=[1, 1])


def batch_norm(name, made, a):
    running = {key: made[key].clone() for key in ("running_mean", "running_var")}

    def forward(input, weight, bias, **_):
        return F.batch_norm(input, running["running_mean"], running["running_var"], weight, bias, **a)

    return {**differentiated(name, forward, made, ["input", "weight", "bias"]), **running}


def norm(label, shape, kind="uniform", **a):
    c = [shape[1]]
    inputs = {"input": (kind, shape), "weight": c, "bias": c, "running_mean": c, "running_var": ("positive", c)}
    case("batch_norm", label, inputs, batch_norm, **{"eps": 1e-5, "momentum": 0.1, "training": False, **a})


for training in (False, True):
    mode = "training" if training else "eval"
    norm(f"{mode} default", [2, 3, 4, 3], training=training)
    norm(f"{mode} eps and momentum", [3, 5, 2, 3], training=training, eps=1e-3, momentum=0.7)
    norm(f"{mode} one channel", [2, 1, 3, 5], training=training)
    norm(f"{mode} no area", [5, 4, 1, 1], training=training)
    norm(f"{mode} batch 1", [1, 9, 3, 2], training=training)
    norm(f"{mode} offset", [2, 2, 3, 3], kind="offset", training=training)
    norm(f"{mode} special", [1, 7, 2, 3], kind="special", training=training)
    norm(f"{mode} constant", [2, 2, 2, 2], kind="zero", training=training)
norm("training two values", [2, 3, 1, 1], training=True)
norm("training momentum 0", [2, 3, 2, 1], training=True, momentum=0.0)
norm("training momentum 1", [2, 3, 2, 1], training=True, momentum=1.0)


def elementwise(op, names, forward):
    for label, shape, kind in [
        ("4-D", [2, 3, 4, 5], "uniform"),
        ("1-D", [7], "uniform"),
        ("single value", [1], "uniform"),
        ("ties", [3, 11], "ties"),
        ("special", [5, 13], "special"),
        ("zero", [6], "zero"),
    ]:
        inputs = {name: (kind, shape) for name in names}
        case(op, label, inputs, lambda name, made, _: differentiated(name, forward, made, names))


elementwise("relu", ["input"], torch.relu)
elementwise("add", ["input", "other"], torch.add)
elementwise("add_relu", ["input", "other"], lambda input, other: torch.relu(input + other))


def pool(op, label, shape, kernel_size, kind="uniform", **a):
    attributes = {"kernel_size": kernel_size, "stride": kernel_size, "padding": [0, 0], "ceil_mode": False, **a}

    def run(name, made, a):
        result = differentiated(name, lambda input: getattr(F, op)(input, **a), made, ["input"])
        if op == "max_pool2d":
            result["indices"] = F.max_pool2d(made["input"], return_indices=True, **a)[1]
        return result

    case(op, label, {"input": (kind, shape)}, run, **attributes)


for op in ("max_pool2d", "avg_pool2d"):
    pool(op, "default", [2, 3, 6, 4], [2, 2])
    pool(op, "resnet", [1, 2, 8, 9], [3, 3], stride=[2, 2], padding=[1, 1])
    pool(op, "resnet odd", [1, 1, 7, 7], [3, 3], stride=[2, 2], padding=[1, 1])
    pool(op, "caffe", [1, 2, 8, 8], [3, 3], stride=[2, 2], ceil_mode=True)
    pool(op, "ceil padding", [1, 2, 6, 5], [3, 3], stride=[2, 2], padding=[1, 1], ceil_mode=True)
    pool(op, "ceil drops the last", [1, 1, 3, 5], [2, 2], padding=[1, 1], ceil_mode=True)
    pool(op, "ceil over the input", [1, 2, 2, 3], [3, 4], stride=[2, 3], ceil_mode=True)
    pool(op, "uneven", [1, 3, 7, 6], [2, 3], stride=[3, 1], padding=[1, 0])
    pool(op, "overlapping", [1, 2, 5, 5], [3, 3], stride=[1, 1], padding=[1, 1])
    pool(op, "stride over the kernel", [1, 1, 8, 7], [2, 1], stride=[3, 4])
    pool(op, "single value", [1, 1, 1, 1], [1, 1])
    pool(op, "whole input", [2, 3, 4, 3], [4, 3])
    pool(op, "ties", [1, 3, 6, 6], [3, 3], stride=[2, 2], padding=[1, 1], kind="ties")
    pool(op, "zero", [1, 1, 4, 5], [3, 3], stride=[2, 2], padding=[1, 1], kind="zero")
    # With rows of 10 every 11th value is a diagonal, so that windows hold several NaNs.
    pool(op, "nan", [1, 1, 6, 10], [3, 3], stride=[2, 2], padding=[1, 1], kind="nan")
    pool(op, "special", [1, 2, 6, 7], [2, 2], kind="special")


def global_avg_pool(name, made, _):
    return differentiated(name, lambda input: F.adaptive_avg_pool2d(input, 1).flatten(1), made, ["input"])


for label, kind, shape in [
    ("7x7", "uniform", [2, 5, 7, 7]),
    ("uneven", "uniform", [1, 9, 3, 2]),
    ("single value", "uniform", [1, 1, 1, 1]),
    ("no area", "uniform", [3, 4, 1, 1]),
    ("special", "special", [1, 6, 2, 2]),
    ("large", "large", [1, 2, 3, 3]),
]:
    case("global_avg_pool", label, {"input": (kind, shape)}, global_avg_pool)


def linear(name, made, _):
    return differentiated(name, F.linear, made, list(made))


for label, kind, n, c, k, bias in [
    ("default", "uniform", 3, 8, 5, True),
    ("no bias", "uniform", 2, 7, 3, False),
    ("single value", "uniform", 1, 1, 1, True),
    ("batch 1", "uniform", 1, 9, 10, True),
    ("one class", "uniform", 4, 5, 1, True),
    ("one feature", "uniform", 4, 1, 6, True),
    ("zero", "zero", 2, 3, 4, True),
    ("nan", "nan", 3, 6, 2, True),
    ("special", "special", 3, 6, 2, True),
    ("large", "large", 2, 3, 2, True),
]:
    inputs = {"input": (kind, [n, c]), "weight": [k, c]}
    case("linear", label, {**inputs, "bias": [k]} if bias else inputs, linear)


def cross_entropy(name, made, a):
    input = made["input"].clone().requires_grad_()
    loss = F.cross_entropy(input, made["target"], **a)
    return {"loss": loss, "grad_input": torch.autograd.grad(loss, input)[0]}


for label, kind, n, k, smoothing, ignore_index in [
    ("default", "uniform", 4, 10, 0.0, -100),
    ("smoothing", "uniform", 5, 7, 0.1, -100),
    ("smoothing 1", "uniform", 3, 4, 1.0, -100),
    ("single sample", "uniform", 1, 5, 0.0, -100),
    ("one class", "uniform", 3, 1, 0.0, -100),
    ("one class smoothing", "uniform", 3, 1, 0.2, -100),
    ("two classes", "uniform", 6, 2, 0.3, -100),
    ("ignored", "uniform", 8, 3, 0.0, 1),
    ("ignored smoothing", "uniform", 8, 3, 0.2, 1),
    ("all ignored", "uniform", 3, 1, 0.0, 0),
    ("all ignored smoothing", "uniform", 3, 1, 0.1, 0),
    ("zero", "zero", 3, 6, 0.1, -100),
    ("large", "large", 3, 6, 0.0, -100),
    ("minus infinity", "minus infinity", 4, 5, 0.0, -100),
    ("minus infinity smoothing", "minus infinity", 4, 5, 0.1, -100),
    ("special", "special", 5, 3, 0.0, -100),
    ("nan", "nan", 5, 3, 0.2, -100),
]:
    inputs = {"input": (kind, [n, k]), "target": (f"below {k}", [n])}
    case("cross_entropy", label, inputs, cross_entropy, label_smoothing=smoothing, ignore_index=ignore_index)


def optimiser(op, label, kind="uniform", steps=1, shape=[11], **a):
    defaults = {
        "adam": dict(lr=1e-3, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False),
        "adamw": dict(lr=1e-3, betas=[0.9, 0.999], eps=1e-8, weight_decay=1e-2, amsgrad=False, maximize=False),
        "sgd": dict(lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False),
    }

    def run(name, made, a):
        param = made["param"].clone().requires_grad_()
        make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[op]
        optimizer = make([param], foreach=False, **{k: tuple(v) if k == "betas" else v for k, v in a.items()})
        for step in range(steps):
            param.grad = made[f"grad.{step}"]
            optimizer.step()
        state = {k: v for k, v in optimizer.state[param].items() if k != "step" and v is not None}
        return {"param": param, **state}

    inputs = {"param": shape, **{f"grad.{step}": (kind, shape) for step in range(steps)}}
    case(op, label, inputs, run, **{**defaults[op], **a})


for op in ("adam", "adamw"):
    optimiser(op, "default")
    optimiser(op, "ten steps", steps=10)
    optimiser(op, "lr", steps=3, lr=0.1)
    optimiser(op, "lr 0", steps=2, lr=0.0)
    optimiser(op, "betas", steps=5, betas=[0.3, 0.9])
    optimiser(op, "betas 0", steps=2, betas=[0.0, 0.0])
    optimiser(op, "eps", steps=3, eps=0.5)
    optimiser(op, "weight decay", steps=5, weight_decay=0.3, lr=0.01)
    optimiser(op, "no weight decay", steps=2, weight_decay=0.0)
    optimiser(op, "amsgrad", steps=6, amsgrad=True, betas=[0.9, 0.5])
    optimiser(op, "maximize", steps=3, maximize=True, weight_decay=0.1)
    optimiser(op, "zero", kind="zero", steps=2)
    optimiser(op, "small", kind="small", steps=3)
    optimiser(op, "nan", kind="nan", steps=2, amsgrad=True)
    optimiser(op, "single value", shape=[1], steps=2)
optimiser("sgd", "default")
optimiser("sgd", "three steps", steps=3, lr=0.1)
optimiser("sgd", "first step with momentum", momentum=0.9, dampening=0.5)
optimiser("sgd", "momentum", steps=5, lr=0.1, momentum=0.9)
optimiser("sgd", "momentum 1", steps=3, momentum=1.0)
optimiser("sgd", "dampening", steps=4, lr=0.1, momentum=0.9, dampening=0.3)
optimiser("sgd", "nesterov", steps=4, lr=0.1, momentum=0.9, nesterov=True)
optimiser("sgd", "weight decay", steps=3, lr=0.1, weight_decay=0.3)
optimiser("sgd", "resnet", steps=4, lr=0.1, momentum=0.9, weight_decay=1e-4)
optimiser("sgd", "everything", steps=4, lr=0.1, momentum=0.8, weight_decay=0.2, nesterov=True, maximize=True)
optimiser("sgd", "maximize", steps=2, maximize=True, weight_decay=0.1)
optimiser("sgd", "zero", kind="zero", steps=2, momentum=0.5)
optimiser("sgd", "nan", kind="nan", steps=2, momentum=0.5)
optimiser("sgd", "single value", shape=[1], steps=2)


def preprocess(name, made, a):
    mean, std = (torch.tensor(a[key], dtype=torch.float64).reshape(3, 1, 1) for key in ("mean", "std"))
    return {"output": (made["pixels"].permute(0, 3, 1, 2).to(torch.float64) / 255 - mean) / std}


imagenet = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
case("preprocess", "imagenet", {"pixels": ("below 256", [2, 4, 5, 3])}, preprocess, **imagenet)
case("preprocess", "single pixel", {"pixels": ("below 256", [1, 1, 1, 3])}, preprocess, **imagenet)
case("preprocess", "plain", {"pixels": ("below 256", [1, 3, 7, 3])}, preprocess, mean=[0.0] * 3, std=[1.0] * 3)
case(
    "preprocess",
    "caffe",
    {"pixels": ("below 256", [1, 5, 2, 3])},
    preprocess,
    mean=[123 / 255, 117 / 255, 104 / 255],
    std=[1 / 255] * 3,
)

target = pathlib.Path(__file__).with_name("reference.safetensors")
part = target.with_suffix(".part")
part.write_bytes(save(tensors, metadata={"cases": json.dumps(cases), "torch": torch.__version__.split("+")[0]}))
os.replace(part, target)
print(f"{len(cases)} cases, {len(tensors)} tensors, {target.stat().st_size} bytes")
