#!/usr/bin/env python3
"""Holds weights to torch both ways: checkpoints that torch.save wrote run here, and what is written here loads there with strict=True.

    venv/bin/python tests/golden/roundtrip_torch.py [BINARY] [--adapter N] [--backend vulkan]

A torchvision ResNet-18 with random, well-scaled weights goes out as `.pth` in both of torch's formats, in channels-last order and inside a training checkpoint; its
logits must agree to 1e-4 of the largest. Converted to safetensors it must load back bit for bit. A network that `finetune` made from the `.pth` must load into torch, and
give there the logits that it gives here. Damaged weights must be told apart.
"""
import pathlib
import sys
import tempfile

import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file

from binary import Binary, parser
from infer_torch import damaged, scaled_network

LIMIT, SIDE = 1e-4, 64


def forms(state, folder):
    """The state dict as torch writes it in its several forms: {name: file}."""
    kept = {name: folder / f"{name}.pth" for name in ("zip", "plain", "channels-last", "training")}
    torch.save(state, kept["zip"])
    torch.save(state, kept["plain"], _use_new_zipfile_serialization=False)
    torch.save({n: t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for n, t in state.items()}, kept["channels-last"])
    torch.save({"epoch": 1, "state_dict": {f"module.{n}": t for n, t in state.items()}}, kept["training"])
    return kept


def photos(folder):
    """Two classes of eight images each: reddish and bluish noise."""
    for k, kind in enumerate(("blue", "red")):
        (folder / kind).mkdir(parents=True)
        for i in range(8):
            pixels = torch.randint(0, 128, (SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(9 * i + k))
            pixels[..., 2 - 2 * k] += 100
            Image.fromarray(pixels.numpy()).save(folder / kind / f"{i}.png")
    return folder


def main():
    binary = Binary(parser(__doc__.split("\n")[0]).parse_args())
    good = True

    def judge(what, found, wanted, control):
        nonlocal good
        share = lambda other: float((found - other).abs().max() / other.abs().max())
        error, worse = share(wanted), share(control)
        ok = error <= LIMIT < worse
        good &= ok
        print(f"{'ok  ' if ok else 'FAIL'} {what}: largest difference {error:.1e} of the largest logit (limit {LIMIT:.0e}; damaged weights {worse:.1e})")

    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        folder = pathlib.Path(folder)
        net = scaled_network(5, torchvision.models.resnet18, SIDE)
        x = torch.randn(2, 3, SIDE, SIDE)
        save_file({"input": x}, folder / "x.safetensors")

        def here(weights):
            binary.run("-q", "infer", "--weights", weights, "--tensor", folder / "x.safetensors", "--save-logits", folder / "y.safetensors")
            return load_file(folder / "y.safetensors")["logits"]

        kept = forms(net.state_dict(), folder)
        for name, path in kept.items():
            judge(f"torch to here, {name}", here(path), net(x), damaged(net)(x))

        binary.run("-q", "weights", "convert", kept["plain"], folder / "converted.safetensors")
        back = load_file(folder / "converted.safetensors")
        # The counters start again; torch uses them only where momentum is None.
        same = all(torch.equal(back[n], t) for n, t in net.state_dict().items() if not n.endswith("num_batches_tracked"))
        torchvision.models.resnet18().load_state_dict(back, strict=True)
        good &= same
        print(f"{'ok  ' if same else 'FAIL'} weights convert: loads with strict=True, every element the same")

        run = folder / "run"
        binary.run("-q", "finetune", photos(folder / "photos"), "--weights", kept["zip"], "--image-size", SIDE, "--epochs", 2, "--val-split", 0.25,
                   "--unfreeze", "layer4", "--output", run)
        tuned = torchvision.models.resnet18(num_classes=2)
        tuned.load_state_dict(load_file(run / "model.safetensors"), strict=True)
        tuned.eval()
        moved = not torch.equal(tuned.layer4[1].conv2.weight, net.layer4[1].conv2.weight)
        good &= moved
        judge("fine-tuned here to torch", here(run), tuned(x), damaged(tuned)(x))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
