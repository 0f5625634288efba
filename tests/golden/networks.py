"""Residual, plain and pre-activation networks in torch, built from gpu-resnet's architecture description, under torchvision's names; and every stage's output."""
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """A basic or plain block (two 3x3) or a bottleneck (1x1, 3x3, 1x1), with no shortcut, the identity, a zero-padded or a projected one.

    Pre-activation as in "Identity Mappings" (He et al., 2016) and the authors' code: normalisation and ReLU come before each convolution, a
    projection (without normalisation) reads what the first ReLU gives, the identity what the block is given; nothing follows the addition.
    """

    def __init__(self, a, inputs, width, stride):
        super().__init__()
        self.preact, self.plain = a["block"].startswith("preact"), a["block"] == "plain"
        self.stride, self.outputs = stride, width * a["expansion"]
        norm = lambda channels: nn.BatchNorm2d(channels, eps=a["bn_eps"])
        if a["block"].endswith("bottleneck"):
            middle = int(width * a["width_per_group"] / 64) * a["groups"]
            s1, s2 = (stride, 1) if a["stride_in"] == "1x1" else (1, stride)
            shapes = [(inputs, middle, 1, s1, 1), (middle, middle, 3, s2, a["groups"]), (middle, self.outputs, 1, 1, 1)]
        else:
            shapes = [(inputs, width, 3, stride, 1), (width, self.outputs, 3, 1, 1)]
        self.depth = len(shapes)
        for i, (before, after, kernel, s, groups) in enumerate(shapes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(before, after, kernel, s, kernel // 2, groups=groups, bias=False))
            setattr(self, f"bn{i}", norm(before if self.preact else after))
        changes = stride != 1 or inputs != self.outputs
        projected = not self.plain and {"projection": changes, "projection-all": True, "zero-pad": False, "zero-pad-both": False}[a["shortcut"]]
        self.both = a["shortcut"] == "zero-pad-both"
        projection = [nn.Conv2d(inputs, self.outputs, 1, stride, bias=False)] + ([] if self.preact else [norm(self.outputs)])
        self.downsample = nn.Sequential(*projection) if projected else None

    def forward(self, x):
        y = shortcut = x
        for i in range(1, self.depth + 1):
            conv, bn = getattr(self, f"conv{i}"), getattr(self, f"bn{i}")
            if self.preact:
                y = F.relu(bn(y))
                if i == 1 and self.downsample is not None:
                    shortcut = y
                y = conv(y)
            else:
                y = bn(conv(y))
                if i < self.depth:
                    y = F.relu(y)
        if self.downsample is not None:
            shortcut = self.downsample(shortcut)
        elif shortcut.shape != y.shape:  # option A: every stride-th pixel, and zeros for the channels that are added at the end (or at both)
            added = self.outputs - shortcut.shape[1]
            before = added // 2 if self.both else 0
            shortcut = F.pad(shortcut[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, added - before))
        if not self.plain:
            y = y + shortcut
        return y if self.preact else F.relu(y)


class ResNet(nn.Module):
    def __init__(self, a):
        super().__init__()
        stem = a["stem"]
        self.pool = None
        if stem["kind"] == "imagenet":
            self.conv1 = nn.Conv2d(3, stem["width"], 7, 2, 3, bias=False)
            self.pool = nn.MaxPool2d(**stem["pool"])
        else:
            self.conv1 = nn.Conv2d(3, stem["width"], 3, 1, 1, bias=False)
            self.pool = nn.MaxPool2d(**stem["pool"]) if stem.get("pool") else None
        preact = a["block"].startswith("preact")
        if not preact:
            self.bn1 = nn.BatchNorm2d(stem["width"], eps=a["bn_eps"])
        self.stages, channels = len(a["depths"]), stem["width"]
        for i, (depth, width) in enumerate(zip(a["depths"], a["widths"])):
            blocks = []
            for j in range(depth):
                blocks.append(Block(a, channels, width, 2 if i > 0 and j == 0 else 1))
                channels = blocks[-1].outputs
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        if preact:
            self.bn = nn.BatchNorm2d(channels, eps=a["bn_eps"])
        self.fc = nn.Linear(channels, a["classes"])

    def forward(self, x):
        return stage_outputs(self, x)["logits"]


def stage_outputs(net, x):
    """{stem, layer1, …, features, logits} of one of ours or of torchvision's. `stem` is what layer1 reads (after the pool, if there is one)."""
    y = {}
    x = net.conv1(x)
    if hasattr(net, "bn1"):  # in a pre-activation network the first block has it
        x = F.relu(net.bn1(x))
    pool = getattr(net, "pool", None) or getattr(net, "maxpool", None)
    y["stem"] = x = pool(x) if pool is not None else x
    for i in range(1, 5):
        if hasattr(net, f"layer{i}"):
            y[f"layer{i}"] = x = getattr(net, f"layer{i}")(x)
    if hasattr(net, "bn"):
        x = F.relu(net.bn(x))
    y["features"] = x = x.mean((2, 3))
    y["logits"] = net.fc(x)
    return y


def architecture(block="bottleneck", depths=(3, 4, 6, 3), **changes):
    """A complete description: ResNet-50's, or its like, with `changes` applied."""
    return {"block": block, "depths": list(depths), "widths": [64, 128, 256, 512], "expansion": 4 if block.endswith("bottleneck") else 1,
            "stem": {"kind": "imagenet", "width": 64, "pool": {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": False}},
            "stride_in": "3x3", "shortcut": "projection", "groups": 1, "width_per_group": 64, "bn_eps": 1e-5, "classes": 1000} | changes
