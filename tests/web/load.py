"""Loads a head that was trained in the page into PyTorch, and compares its logits with the program's probabilities.

    python load.py model.safetensors digit.json features.safetensors
"""

import json
import sys

import torch
from safetensors import safe_open

model, answer, features = sys.argv[1:]
with safe_open(model, "pt") as file:
    metadata, names = file.metadata(), list(file.keys())
    weight, bias = file.get_tensor("fc.weight"), file.get_tensor("fc.bias")
    tensors = {name: file.get_tensor(name) for name in names}
assert json.loads(metadata["gpu_resnet.labels"]) == ["0", "7"], metadata
head = torch.nn.Linear(weight.shape[1], weight.shape[0])
head.load_state_dict({"weight": weight, "bias": bias}, strict=True)
assert head.weight.shape == (2, 1024), head.weight.shape
assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
with safe_open(features, "pt") as file, torch.no_grad():
    probabilities = torch.softmax(head(file.get_tensor("features")), 1)[0]
with open(answer) as file:
    predictions = json.load(file)["predictions"]
worst = max(abs(probabilities[p["index"]].item() - p["probability"]) for p in predictions)
assert len(predictions) == 2 and worst < 1e-5, (predictions, probabilities)
print(f"web-test: PyTorch loads {len(names)} tensors; its head gives the program's probabilities to {worst:.0e}", file=sys.stderr)
