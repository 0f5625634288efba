#!/usr/bin/env python3
"""Holds `gpu-resnet finetune` from a torchvision ResNet-50 state dict on a folder of JPEGs to torch: the loss of every epoch.

    venv/bin/python tests/golden/finetune_torch.py [BINARY] [--adapter N] [--backend vulkan]

Both train Linear(2048, 3) by Adam on the same features, which `infer --save-features` writes. A batch holds all of them, so that the order does not matter; torch
starts from the head that a run with a learning rate of 1e-30 leaves where it began. Fails (exit status 1) above 1e-4 relative. torch with
another learning rate must be told apart. The finished model must load into torchvision with strict=True and give the same logits for the same input tensor (JPEG decoders differ by a few levels).
"""
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file

from binary import Binary, parser
from infer_torch import scaled_network

LIMIT, EPOCHS, RATE = 1e-4, 8, 1e-3


def pictures(folder):
    """Twelve JPEGs of each of three classes: gradients of different directions with noise."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[0:96, 0:96] / 96
    for name, ramp in {"across": x, "down": y, "radial": np.hypot(x - 0.5, y - 0.5)}.items():
        (folder / name).mkdir(parents=True)
        for i in range(12):
            tint = random.uniform(60, 255, 3)
            image = ramp[:, :, None] * tint + random.normal(0, 12, (96, 96, 3))
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name / f"{i:02}.jpg", quality=95)


def train(features, labels, head, rate):
    layer = torch.nn.Linear(2048, 3)
    layer.weight.data, layer.bias.data = head["fc.weight"].clone(), head["fc.bias"].clone()
    optimizer = torch.optim.Adam(layer.parameters(), lr=rate)
    losses = []
    for _ in range(EPOCHS):
        loss = torch.nn.functional.cross_entropy(layer(features), labels)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    options = parser(__doc__.split("\n")[0]).parse_args()
    binary = Binary(options)
    net = scaled_network(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        pictures(folder / "data")
        weights = folder / "resnet50.safetensors"
        save_file({key: value.contiguous() for key, value in net.state_dict().items()}, weights)
        common = ["finetune", folder / "data", "--weights", weights, "--recipe", "notes", "--val-split", 0, "--batch-size", 36, "--image-size", 64]
        binary.run(*common, "--lr", 1e-30, "--epochs", 1, "--output", folder / "start")
        binary.run(*common, "--lr", RATE, "--epochs", EPOCHS, "--output", folder / "run")
        ours = [json.loads(line)["train_loss"] for line in (folder / "run/metrics.jsonl").read_text().splitlines()]

        resize = round(256 * 64 / 224)
        T = torchvision.transforms
        transform = T.Compose([T.Resize(resize), T.CenterCrop(64), T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
        data = torchvision.datasets.ImageFolder(folder / "data", transform)
        images, labels = torch.stack([image for image, _ in data]), torch.tensor(data.targets)
        binary.run("infer", folder / "data", "--weights", weights, "--image-size", 64, "--save-features", folder / "features.safetensors")
        features = load_file(folder / "features.safetensors")["features"]
        head = load_file(folder / "start/model.safetensors")
        error = lambda losses: max(abs(a - b) / b for a, b in zip(ours, losses, strict=True))
        losses, control = error(train(features, labels, head, RATE)), error(train(features, labels, head, RATE * 1.05))

        tuned = torchvision.models.resnet50(weights=None, num_classes=3)
        tuned.load_state_dict(load_file(folder / "run/model.safetensors"), strict=True)
        save_file({"input": images}, folder / "images.safetensors")
        binary.run("infer", "--tensor", folder / "images.safetensors", "--weights", folder / "run", "--save-logits", folder / "logits.safetensors")
        with torch.no_grad():
            expected = tuned.eval()(images)
        found = load_file(folder / "logits.safetensors")["logits"]
        logits = float((found - expected).abs().max() / expected.abs().max())
    good = losses <= LIMIT < control and logits <= LIMIT
    print(f"{'ok  ' if good else 'FAIL'} {EPOCHS} epochs: losses {ours[0]:.4f} to {ours[-1]:.4f}, largest difference {losses:.1e} (limit {LIMIT:.0e}; a learning rate 5 % off: {control:.1e}); "
          f"logits of the model in torchvision {logits:.1e}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
