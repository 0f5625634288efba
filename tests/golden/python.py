#!/usr/bin/env python3
"""Makes the reference of the Python package's tests: what torchvision's resnet18 with hashed weights says of PIL images.

    venv/bin/python tests/golden/python.py      # writes python/tests/torchvision.safetensors

Logits and features are computed in f64 and stored as f32, with the names and shapes of the state dict, so that the test makes
the same weights without torch.
"""
import json
import pathlib

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.numpy import save_file

import hashed

HERE = pathlib.Path(__file__).parent
PHOTOS = ["astronaut.jpg", "coffee.jpg", "hubble.png"]


def main():
    net = torchvision.models.resnet18()
    shapes = {name: list(value.shape) for name, value in net.state_dict().items()}
    net.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in hashed.state_dict(shapes).items()})
    net = net.double().eval()
    prepare = torchvision.transforms.Compose([
        torchvision.transforms.Resize(256),
        torchvision.transforms.CenterCrop(224),
        torchvision.transforms.ToTensor(),
        torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])
    images = [Image.open(HERE / "photos" / name).convert("RGB") for name in PHOTOS]
    batch = torch.stack([prepare(image) for image in images]).double()
    features = []
    net.fc.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    with torch.no_grad():
        logits = net(batch)
    tensors = {"logits": logits.float().numpy(), "features": features[0].float().numpy()}
    metadata = {"photos": json.dumps(PHOTOS), "shapes": json.dumps(shapes)}
    save_file(tensors, HERE.parent.parent / "python" / "tests" / "torchvision.safetensors", metadata)


if __name__ == "__main__":
    main()
