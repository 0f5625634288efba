"""Four steps of SGD with momentum on a narrow ResNet-20 in torch, in f32 and by automatic mixed precision: what training in f16 is held to.

`make.py train_amp` writes it; README.md has the keys. The steps are `torch.autocast` with float16 and `torch.amp.GradScaler`, on the processor. What they are off by is
the measure: training whose feature maps and their gradients are rounded to f16 too is off by about as much, in another direction. The learning rate is small, so that
rounding does not grow from step to step: torch's own f32 is off by a tenth of that.
"""
import numpy as np
import torch

import hashed
import networks
from train_resnet20 import differences

STEPS, BATCH, SIZE = 4, 16, 32
OPTIONS = {"lr": 0.002, "momentum": 0.9}
ARCHITECTURE = networks.architecture("basic", (3, 3, 3), widths=[8, 16, 32], stem={"kind": "cifar", "width": 8}, shortcut="zero-pad", classes=10)
# Of the state dict afterwards: from below, from the middle and from above.
STORED = ["conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "layer1.1.conv2.weight", "layer2.0.conv1.weight", "layer2.0.bn2.weight",
          "layer3.0.conv2.weight", "layer3.2.bn2.bias", "layer3.2.bn2.running_mean", "layer3.2.bn2.running_var", "fc.weight", "fc.bias"]


def train(dtype=torch.float32, mixed=False):
    """{losses, and `STORED`} of training in `dtype`; `mixed` by autocast and a GradScaler."""
    net = networks.ResNet(ARCHITECTURE)
    net.load_state_dict({key: torch.from_numpy(value) for key, value in hashed.state_dict({key: value.shape for key, value in net.state_dict().items()}).items()})
    net = net.to(dtype).train()
    optimizer = torch.optim.SGD(net.parameters(), **OPTIONS)
    scaler = torch.amp.GradScaler("cpu", enabled=mixed)
    losses = []
    for step in range(STEPS):
        x = torch.from_numpy(hashed.values(f"images.{step}", (BATCH, 3, SIZE, SIZE))).to(dtype)
        y = torch.from_numpy(hashed.targets(f"targets.{step}", BATCH, ARCHITECTURE["classes"]))
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16, enabled=mixed):
            loss = torch.nn.functional.cross_entropy(net(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert not mixed or scaler.get_scale() == 65536, "a step was skipped"
    state = net.state_dict()
    return {"losses": np.array(losses)} | {key: state[key].numpy() for key in STORED}


def make():
    """(tensors of f64, {"torch_amp": …, "torch_f32": …: how far those are from them})."""
    exact = train(torch.float64)
    return exact, {"torch_amp": differences(train(mixed=True), exact), "torch_f32": differences(train(), exact)}
