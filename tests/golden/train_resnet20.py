"""Thirty steps of SGD with momentum on a whole CIFAR ResNet-20 in torch: the reference that training is held to.

`make.py train_resnet20` writes it; README.md has the keys. Weight decay leaves normalisations and the bias alone, as is usual. Rounding grows
from step to step, and fewer values under a normalisation make it grow faster: on batches of 8 at 16 x 16 torch's own f32 is off by 1e-4 in the
losses and in `fc.weight` after these steps with lr 0.003, by 8e-6 and 2e-6 with 0.001. So the last is used, and a decay large enough that a
wrong one shows. Batches are small because slow drivers take these steps too.
"""
import numpy as np
import torch

import hashed
import networks

STEPS, BATCH, SIZE = 30, 8, 16
OPTIONS = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 3e-2}
ARCHITECTURE = networks.architecture("basic", (3, 3, 3), widths=[16, 32, 64], stem={"kind": "cifar", "width": 16}, shortcut="zero-pad", classes=10)
# Of the state dict afterwards; the last normalisation's statistics have felt every layer.
STORED = ["fc.weight", "fc.bias", "conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var",
          "layer3.2.bn2.weight", "layer3.2.bn2.running_mean", "layer3.2.bn2.running_var"]


def train(dtype, decayed=lambda parameter: parameter.ndim > 1, **changes):
    """{losses, and `STORED`} of training in `dtype`; weight decay acts on the parameters that are `decayed`."""
    options = OPTIONS | changes
    net = networks.ResNet(ARCHITECTURE)
    net.load_state_dict({key: torch.from_numpy(value) for key, value in hashed.state_dict({key: value.shape for key, value in net.state_dict().items()}).items()})
    net = net.to(dtype).train()
    groups = [{"params": [p for p in net.parameters() if decayed(p)]}, {"params": [p for p in net.parameters() if not decayed(p)], "weight_decay": 0}]
    optimizer = torch.optim.SGD([group for group in groups if group["params"]], **options)
    losses = []
    for step in range(STEPS):
        x = torch.from_numpy(hashed.values(f"images.{step}", (BATCH, 3, SIZE, SIZE))).to(dtype)
        y = torch.from_numpy(hashed.targets(f"targets.{step}", BATCH, ARCHITECTURE["classes"]))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    state = net.state_dict()
    return {"losses": np.array(losses)} | {key: state[key].numpy() for key in STORED}


def differences(found, wanted):
    """Root mean square of the difference over that of the reference, for each key."""
    rms = lambda values: np.sqrt((np.asarray(values, np.float64) ** 2).mean())
    return {key: float(f"{rms(found[key] - value) / rms(value):.2g}") for key, value in wanted.items()}


def make():
    """(tensors, {"torch_f32": …, and what wrong training does to each key})."""
    exact = train(torch.float64)
    wrong = {"no_decay": train(torch.float64, weight_decay=0), "decay_all": train(torch.float64, lambda parameter: True),
             "nesterov": train(torch.float64, nesterov=True)}
    return exact, {name: differences(found, exact) for name, found in ({"torch_f32": train(torch.float32)} | wrong).items()}
