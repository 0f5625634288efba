"""A network with a single output by torch in f64: `make.py one_output` writes `one_output.safetensors`.

Weights are hashed, but for `fc.bias` (metadata `bias`); each image is a part of the hashed `input` times a factor of its own (metadata `factors`).
`logits` [4,1]; `probability` [4], their sigmoid; `losses` [4], the binary cross-entropy against the hashed `target` of two classes; `maps` [4,H,W],
Grad-CAM (before its ReLU) of the class that is more likely, by the gradient of the logit for class 1 and of its negative for class 0.
"""
import json

import numpy as np
import torch
import torch.nn.functional as F

import gradients
import hashed
import networks

DESCRIPTION = networks.architecture("basic", (1, 1, 1), widths=[8, 12, 16], stem={"kind": "cifar", "width": 8}, classes=1)
SHAPE = (4, 3, 16, 16)
# So that both classes are among the answers.
FACTORS, BIAS = [0.0, 0.25, 1.0, 4.0], 0.15


def make():
    net = gradients.network(DESCRIPTION).double().eval()
    torch.nn.init.constant_(net.fc.bias, BIAS)
    kept = []
    net.layer3.register_forward_hook(lambda _module, _input, output: (output.retain_grad(), kept.append(output))[1])
    images = torch.from_numpy(hashed.values("input", SHAPE)).double()
    logits = net(images * torch.tensor(FACTORS).double()[:, None, None, None])[:, 0]
    targets = torch.from_numpy(hashed.targets("target", SHAPE[0], 2))
    assert len(set((logits > 0).tolist())) == 2, "both classes must be seen"
    torch.where(logits > 0, logits, -logits).sum().backward()
    weights = kept[0].grad.mean((2, 3), keepdim=True)
    tensors = {
        "logits": logits[:, None],
        "probability": torch.sigmoid(logits),
        "losses": F.binary_cross_entropy_with_logits(logits, targets.double(), reduction="none"),
        "maps": (weights * kept[0]).sum(1),
    }
    metadata = {"gpu_resnet.architecture": json.dumps(DESCRIPTION), "input_shape": json.dumps(SHAPE), "factors": json.dumps(FACTORS), "bias": json.dumps(BIAS)}
    return {key: value.detach().numpy().astype(np.float32) for key, value in tensors.items()}, metadata
