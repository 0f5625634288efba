"""Every gradient of small networks of each kind in torch f64: the reference for the whole backward pass.

`make.py gradients` writes `gradients-KIND.safetensors`; README.md has the keys. A ReLU whose input is nearer to zero than f32 rounds has either
gradient, and so has a max pool between nearly equal values; so each kind's input is the first of the hashed ones that stays clear of both.
"""
import itertools

import numpy as np
import torch
import torch.nn.functional as F

import hashed
import networks

# A forward pass in f32 is off by up to about 1e-6 of a map's root mean square.
MARGIN = 4e-6
SAMPLES = 96

CIFAR = {"widths": [12, 22, 36], "stem": {"kind": "cifar", "width": 12}, "classes": 7}
EVEN = CIFAR | {"widths": [12, 20, 36]}  # zero-padding takes multiples of 4 only
IMAGENET = {"widths": [8, 12, 16, 24], "stem": {"kind": "imagenet", "width": 10, "pool": {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": False}}, "classes": 7}
# Kind: (architecture, input shape, label smoothing). Widths that are no multiples of 4, odd sizes and oblong inputs are meant.
KINDS = {
    "basic": (networks.architecture("basic", (1, 2, 1), **CIFAR), (4, 3, 16, 16), 0.1),
    "zero-pad": (networks.architecture("basic", (1, 2, 1), shortcut="zero-pad", **EVEN), (4, 3, 16, 16), 0),
    "projection-all": (networks.architecture("basic", (1, 2, 1), shortcut="projection-all", **CIFAR), (4, 3, 15, 13), 0),
    "plain": (networks.architecture("plain", (1, 2, 1), **EVEN), (4, 3, 16, 16), 0),
    "preact-basic": (networks.architecture("preact-basic", (1, 2, 1), shortcut="zero-pad", **EVEN), (4, 3, 16, 16), 0),
    "preact-projection": (networks.architecture("preact-basic", (1, 2, 1), **CIFAR), (4, 3, 15, 13), 0),
    "preact-bottleneck": (networks.architecture("preact-bottleneck", (1, 2, 1, 1), **IMAGENET), (3, 3, 64, 64), 0),
    "bottleneck": (networks.architecture("bottleneck", (1, 2, 1, 1), **IMAGENET), (3, 3, 64, 64), 0.1),
    "v1-ceil": (networks.architecture("bottleneck", (1, 2, 1), stride_in="1x1", **(IMAGENET | {"widths": [8, 12, 16], "stem": {
        "kind": "imagenet", "width": 10, "pool": {"kernel_size": 3, "stride": 2, "padding": 0, "ceil_mode": True}}})), (3, 3, 45, 61), 0),
    "grouped": (networks.architecture("bottleneck", (1, 2, 1, 1), groups=4, width_per_group=32, **(IMAGENET | {"widths": [8, 16, 24, 32]})), (3, 3, 64, 64), 0),
}


class Margin:
    """While entered, notes how near to zero any ReLU's input comes, and how near to each other the two largest values of any pool's window."""

    def __enter__(self):
        self.smallest, self.relu, self.pool = np.inf, F.relu, F.max_pool2d
        rms = lambda values: values.square().mean().sqrt()

        def relu(x, *rest, **named):
            self.smallest = min(self.smallest, float(x.detach().abs().min() / rms(x.detach())))
            return self.relu(x, *rest, **named)

        def pool(x, kernel_size, stride, padding, *rest, **named):
            padded = F.pad(x.detach(), [padding, padding + stride] * 2, value=-1e9)
            windows = padded.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride).flatten(4)
            top = windows.topk(2).values
            # Where all are zero the gradient goes to a ReLU of slope 0; windows outside the image are all padding.
            gap = (top[..., 0] - top[..., 1])[(top[..., 0] != 0) & (top[..., 0] > -1e8)]
            self.smallest = min(self.smallest, float(gap.min() / rms(x.detach())))
            return self.pool(x, kernel_size, stride, padding, *rest, **named)

        F.relu, F.max_pool2d = relu, pool
        return self

    def __exit__(self, *_):
        F.relu, F.max_pool2d = self.relu, self.pool


def network(description):
    """The network of `description` with hashed weights, in f32."""
    net = networks.ResNet(description)
    net.load_state_dict({key: torch.from_numpy(value) for key, value in hashed.state_dict({key: value.shape for key, value in net.state_dict().items()}).items()})
    return net


def gradients(net, x, target, training, smoothing=0.0):
    """{loss, logits, grad.input, grad.NAME; in training mode also NAME.running_mean and .running_var afterwards}."""
    net = net.train() if training else net.eval()
    net.zero_grad(set_to_none=True)
    x = x.clone().requires_grad_(True)
    logits = net(x)
    loss = F.cross_entropy(logits, target, label_smoothing=smoothing)
    loss.backward()
    found = {"loss": loss.detach().reshape(1), "logits": logits.detach(), "grad.input": x.grad}
    found |= {f"grad.{name}": p.grad for name, p in net.named_parameters()}
    if training:
        found |= {name: value.detach() for name, value in net.named_buffers() if "running" in name}
    return found


def error(found, expected):
    """Root mean square of the difference over that of the reference."""
    difference = found.double() - expected
    return float((difference.square().mean() / expected.square().mean().clamp_min(1e-300)).sqrt())


def make(kind, sample):
    """(tensors, metadata as values) of one kind; `sample` gives (every k-th element, k)."""
    description, shape, smoothing = KINDS[kind]
    target = torch.from_numpy(hashed.targets("target", shape[0], description["classes"]))
    for number in itertools.count():
        x = torch.from_numpy(hashed.values(f"input.{number}", shape))
        with Margin() as margin:
            exact = {mode: gradients(network(description).double(), x.double(), target, mode == "train", smoothing) for mode in ("eval", "train")}
        if margin.smallest > MARGIN:
            break
    tensors, layout, errors = {}, {}, {}
    for mode in exact:
        single = gradients(network(description), x, target, mode == "train", smoothing)
        errors[mode] = {key: float(f"{error(single[key], value):.2g}") for key, value in exact[mode].items()}
        for key, value in exact[mode].items():
            value = value.numpy()
            tensors[f"{mode}.{key}"], layout[key] = sample(value, SAMPLES)
            tensors[f"{mode}.{key}.mean_rms"] = np.array([value.mean(), np.sqrt((value**2).mean())])
    metadata = {"gpu_resnet.architecture": description, "input": f"input.{number}", "input_shape": shape, "label_smoothing": smoothing,
                "every": layout, "torch_f32_error": errors, "margin": float(f"{margin.smallest:.2g}")}
    return {key: value.astype(np.float32) for key, value in tensors.items()}, metadata
