#!/usr/bin/env python3
"""Times PyTorch on the same network as scripts/measure-gpu.sh does: inference in f32 and f16, and a training step. Prints one JSON object.

Needs only torch; the network is defined here, since torchvision may be missing. f32 means f32, not TF32."""

import argparse
import json
import sys
import time

import torch
from torch import nn


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        conv = lambda i, o, k, s=1: nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o))
        self.body = nn.Sequential(
            conv(inputs, width, 1), nn.ReLU(True), conv(width, width, 3, stride), nn.ReLU(True), conv(width, 4 * width, 1)
        )
        self.shortcut = conv(inputs, 4 * width, 1, stride) if stride != 1 or inputs != 4 * width else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


class Basic(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        conv = lambda i, o, s: nn.Sequential(nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o))
        self.body = nn.Sequential(conv(inputs, width, stride), nn.ReLU(True), conv(width, width, 1))
        self.pad = width - inputs
        self.stride = stride

    def forward(self, x):
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.pad:
            shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, 0, self.pad))
        return torch.relu(self.body(x) + shortcut)


def resnet50():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for stage, count in enumerate([3, 4, 6, 3]):
        width = 64 << stage
        for block in range(count):
            layers.append(Bottleneck(inputs, width, 2 if block == 0 and stage > 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True)]
    inputs = 16
    for stage in range(3):
        width = 16 << stage
        for block in range(3):
            layers.append(Basic(inputs, width, 2 if block == 0 and stage > 0 else 1))
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


NETWORKS = {"resnet50": resnet50, "resnet20": resnet20}


def device():
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.cuda.get_device_name(0), torch.cuda.synchronize
    if torch.backends.mps.is_available():
        return torch.device("mps"), "Apple MPS", torch.mps.synchronize
    return torch.device("cpu"), f"the processor, {torch.get_num_threads()} threads", lambda: None


def milliseconds(step, synchronize, seconds):
    """The median of what fits into `seconds`, at least three, after two that are not counted."""
    for _ in range(2):
        step()
    synchronize()
    times, started = [], time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - started < seconds and len(times) < 200):
        began = time.perf_counter()
        step()
        synchronize()
        times.append(time.perf_counter() - began)
    return 1e3 * sorted(times)[len(times) // 2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", default="1,8,64")
    parser.add_argument("--train", type=int, default=8)
    parser.add_argument("--network", default="resnet50", choices=sorted(NETWORKS))
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    where, name, synchronize = device()
    report = {"torch": torch.__version__, "device": name, "network": args.network, "runs": []}

    def measured(mode, precision, batch, step):
        try:
            ms = milliseconds(step, synchronize, args.seconds)
        except RuntimeError as error:  # too little memory, or a precision that the device has no kernels for
            print(f"{mode} {precision} batch {batch}: {str(error).splitlines()[0]}", file=sys.stderr)
            return
        report["runs"].append({"mode": mode, "precision": precision, "batch_size": batch, "ms_per_image": ms / batch})

    network = NETWORKS[args.network]().to(where).eval()
    images = lambda batch: torch.randn(batch, 3, args.size, args.size, device=where)
    with torch.inference_mode():
        for batch in map(int, args.batch.split(",")):
            x = images(batch)
            measured("infer", "f32", batch, lambda: network(x))
        if where.type != "cpu":  # on processors f16 is emulated, and takes minutes
            half = NETWORKS[args.network]().to(where).half().to(memory_format=torch.channels_last).eval()
            for batch in map(int, args.batch.split(",")):
                x = images(batch).half().to(memory_format=torch.channels_last)
                measured("infer", "f16", batch, lambda: half(x))
    network.train()
    x, optimiser = images(args.train), torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    labels = torch.zeros(args.train, dtype=torch.long, device=where)

    def step():
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(network(x), labels).backward()
        optimiser.step()

    measured("train", "f32", args.train, step)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
