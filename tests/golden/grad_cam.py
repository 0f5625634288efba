"""Grad-CAM by torch autograd in f64: `make.py grad_cam` writes `grad_cam.safetensors`.

Networks and inputs are those of `gradients.py`. For each image the map of its most likely class, before its ReLU, from the gradient of that class'
logit by the output of the last stage.
"""
import json
import pathlib

import numpy as np
import torch
from safetensors import safe_open

import gradients
import hashed

HERE = pathlib.Path(__file__).parent
KINDS = ["basic", "plain", "preact-projection", "preact-bottleneck", "bottleneck", "grouped"]


def maps(net, x):
    """(the most likely class of each image, [N, H, W] maps)."""
    kept = []
    last = max(name for name, _ in net.named_children() if name.startswith("layer"))
    hook = getattr(net, last).register_forward_hook(lambda _module, _input, output: (output.retain_grad(), kept.append(output))[1])
    logits = net.eval()(x)
    hook.remove()
    classes = logits.argmax(1)
    logits.gather(1, classes[:, None]).sum().backward()
    weights = kept[0].grad.mean((2, 3), keepdim=True)
    return classes.tolist(), (weights * kept[0].detach()).sum(1)


def make():
    tensors, classes = {}, {}
    for kind in KINDS:
        description, shape, _ = gradients.KINDS[kind]
        with safe_open(HERE / f"gradients-{kind}.safetensors", "np") as file:
            name = file.metadata()["input"]
        x = torch.from_numpy(hashed.values(name, shape))
        classes[kind], found = maps(gradients.network(description).double(), x.double())
        tensors[kind] = found.numpy().astype(np.float32)
    return tensors, {"classes": json.dumps(classes)}
