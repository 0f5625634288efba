#!/usr/bin/env python3
"""Holds `gpu-resnet finetune` from a torchvision ResNet-50 state dict on a folder of JPEGs to torch: the loss of every epoch.

    venv/bin/python tests/golden/finetune_torch.py [BINARY] [--adapter N] [--backend vulkan]

Both train Linear(2048, 3) by Adam from the same head on the same batches in the same order, which `ChaCha8` below draws as the program does. Of the 36 images a batch
takes 8, so that the last one of an epoch is short. On the JPEGs torch trains on the features that `infer --save-features` writes. JPEG decoders differ by a few levels, which
a network with random weights amplifies, so that torch's own features come in on PNGs of the pixels that Pillow decoded: there torch does everything by itself. Every
epoch's loss must agree to 1e-4 relative; another learning rate and another order must be told apart. The finished model must load into torchvision with strict=True and
give the same logits for the same images.
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

LIMIT, EPOCHS, RATE, BATCH, SEED = 1e-4, 8, 1e-4, 8, 7
HEAD_STREAM = 2**64 - 1


class ChaCha8:
    """rand_chacha's ChaCha8Rng::seed_from_u64(seed) on one of its streams, as a row of 32-bit words."""

    def __init__(self, seed, stream, words):
        state, key = seed, []
        for _ in range(8):
            state = (state * 6364136223846793005 + 11634580027462260723) % 2**64
            word, turn = ((state >> 18 ^ state) >> 27) % 2**32, state >> 59
            key.append((word >> turn | word << (32 - turn) % 32) % 2**32)
        blocks = -(-words // 16)
        start = np.zeros((16, blocks), np.uint32)
        for row, value in enumerate([0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *key]):
            start[row] = value
        start[12], start[14], start[15] = np.arange(blocks), stream % 2**32, stream >> 32
        x = start.copy()

        def quarter(a, b, c, d):
            for a, b, d, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[a] += x[b]
                mixed = x[d] ^ x[a]
                x[d] = mixed << np.uint32(turn) | mixed >> np.uint32(32 - turn)

        for _ in range(4):
            for column in range(4):
                quarter(column, 4 + column, 8 + column, 12 + column)
            for column in range(4):
                quarter(column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
        self.words = (x + start).T.reshape(-1)

    def u64(self, i):
        return int(self.words[2 * i]) | int(self.words[2 * i + 1]) << 32


def order(count, epoch):
    """The images of an epoch (from 1) in their order: Fisher and Yates's shuffle on stream epoch + 1."""
    random, items = ChaCha8(SEED, epoch + 1, 2 * count), list(range(count))
    for i, last in enumerate(range(count - 1, 0, -1)):
        pick = random.u64(i) * (last + 1) >> 64
        items[last], items[pick] = items[pick], items[last]
    return items


def first_head(features, classes):
    """Linear's initial weight and bias: uniform in ±1/sqrt(features)."""
    unit = (ChaCha8(SEED, HEAD_STREAM, (features + 1) * classes).words[: (features + 1) * classes] >> 8) / 2**24
    values = torch.tensor((2 * unit - 1) / np.sqrt(features), dtype=torch.float32)
    return values[: features * classes].reshape(classes, features), values[features * classes :]


def pictures(folder):
    """Twelve JPEGs of each of three classes, gradients of different directions with noise, and PNGs of what Pillow decodes from them."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[0:96, 0:96] / 96
    for name, ramp in {"across": x, "down": y, "radial": np.hypot(x - 0.5, y - 0.5)}.items():
        for kind in ("jpg", "png"):
            (folder / kind / name).mkdir(parents=True)
        for i in range(12):
            tint = random.uniform(60, 255, 3)
            image = ramp[:, :, None] * tint + random.normal(0, 12, (96, 96, 3))
            jpeg = folder / "jpg" / name / f"{i:02}.jpg"
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(jpeg, quality=95)
            Image.open(jpeg).save(folder / "png" / name / f"{i:02}.png")


def train(features, labels, rate=RATE, shift=0):
    """The mean loss of each epoch, each batch's taken before its step; `shift` takes other epochs' orders."""
    layer = torch.nn.Linear(2048, 3)
    layer.weight.data, layer.bias.data = first_head(2048, 3)
    optimizer = torch.optim.Adam(layer.parameters(), lr=rate)
    losses = []
    for epoch in range(1, EPOCHS + 1):
        total = 0
        for batch in torch.tensor(order(len(labels), epoch + shift)).split(BATCH):
            loss = torch.nn.functional.cross_entropy(layer(features[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(labels))
    return losses


def main():
    options = parser(__doc__.split("\n")[0]).parse_args()
    binary = Binary(options)
    net = scaled_network(1)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        folder = pathlib.Path(folder)
        pictures(folder)
        weights, features, logits = (folder / f"{name}.safetensors" for name in ("resnet50", "features", "logits"))
        save_file({key: value.contiguous() for key, value in net.state_dict().items()}, weights)
        network = ["--weights", weights, "--image-size", 64]

        def finetune(kind):
            binary.run("finetune", folder / kind, *network, "--recipe", "notes", "--val-split", 0, "--batch-size", BATCH, "--epochs", EPOCHS, "--seed", SEED, "--output", folder / f"run-{kind}")
            return [json.loads(line)["train_loss"] for line in (folder / f"run-{kind}/metrics.jsonl").read_text().splitlines()]

        T = torchvision.transforms
        transform = T.Compose([T.Resize(round(256 * 64 / 224)), T.CenterCrop(64), T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
        data = torchvision.datasets.ImageFolder(folder / "png", transform)
        images, labels = torch.stack([image for image, _ in data]), torch.tensor(data.targets)
        net.fc = torch.nn.Identity()
        own = net(images)
        binary.run("infer", folder / "jpg", *network, "--save-features", features)
        ours = load_file(features)["features"]

        error = lambda found, wanted: max(abs(a - b) / b for a, b in zip(found, wanted, strict=True))
        jpegs, pngs = finetune("jpg"), finetune("png")
        with torch.enable_grad():
            on_jpegs, on_pngs = error(jpegs, train(ours, labels)), error(pngs, train(own, labels))
            rate, another = error(jpegs, train(ours, labels, rate=RATE * 1.05)), error(jpegs, train(ours, labels, shift=100))

        tuned = torchvision.models.resnet50(weights=None, num_classes=3)
        tuned.load_state_dict(load_file(folder / "run-png/model.safetensors"), strict=True)
        expected = tuned.eval()(images)
        binary.run("infer", folder / "png", "--weights", folder / "run-png", "--image-size", 64, "--save-logits", logits)
        after = float((load_file(logits)["logits"] - expected).abs().max() / expected.abs().max())
        decoders = float((ours - own).norm() / own.norm())
    good = max(on_jpegs, on_pngs, after) <= LIMIT < min(rate, another)
    print(f"{'ok  ' if good else 'FAIL'} {EPOCHS} epochs of {-(-len(labels) // BATCH)} steps, losses {jpegs[0]:.3f} to {jpegs[-1]:.3f}: largest difference on the same features of JPEGs {on_jpegs:.1e}, "
          f"on torch's own features of PNGs {on_pngs:.1e}, logits of the model in torchvision {after:.1e} (limit {LIMIT:.0e}; a learning rate 5 % off {rate:.1e}, another order {another:.1e}); "
          f"JPEG decoders change the features by {decoders:.1e}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
