#!/usr/bin/env python3
"""Makes the stored references of this folder with PyTorch, torchvision and ONNX Runtime.

    python3 -m venv venv && venv/bin/pip install -r tests/golden/requirements.txt
    venv/bin/python tests/golden/make.py [NAME...]        # all, or some of: resnet50 resnet18 … head open_nsfw

README.md says what each file holds. Networks are computed in f64; the error of torch's own f32 forward is noted beside, as a
measure of what may be asked of another f32 implementation.
"""
import argparse
import hashlib
import importlib.util
import json
import pathlib
import sys

import numpy as np
import torch
import torchvision
from safetensors.numpy import load_file, save

import grad_cam
import gradients
import hashed
import networks
import one_output
import train_amp
import train_resnet20

HERE = pathlib.Path(__file__).parent
WEIGHTS = HERE.parent.parent / "weights"
sys.path.insert(0, str(WEIGHTS))
import convert_open_nsfw  # noqa: E402

SAMPLES = 2048  # of a big map, about this many elements are stored
PHOTOS = ["astronaut.jpg", "chelsea.jpg", "coffee.jpg", "hubble.png", "rocket.png"]
STEPS, BATCH, FEATURES, CLASSES = 50, 32, 2048, 10


def cifar20(block, shortcut="projection"):
    """One of the CIFAR networks of 20 layers."""
    return networks.architecture(block, (3, 3, 3), widths=[16, 32, 64], stem={"kind": "cifar", "width": 16}, shortcut=shortcut, classes=10)


ARCHITECTURES = {
    "resnet50": (networks.architecture(), (2, 3, 64, 64)),
    "resnet18": (networks.architecture("basic", (2, 2, 2, 2)), (2, 3, 64, 64)),
    "resnet20-zero-pad": (cifar20("basic", "zero-pad"), (2, 3, 32, 32)),
    "resnet20-projection": (cifar20("basic", "projection"), (2, 3, 32, 32)),
    "resnet20-projection-all": (cifar20("basic", "projection-all"), (2, 3, 32, 32)),
    "plain20": (cifar20("plain"), (2, 3, 32, 32)),
    "preact-resnet20": (cifar20("preact-basic", "zero-pad"), (2, 3, 32, 32)),
    "preact-resnet20-projection": (cifar20("preact-basic", "projection"), (2, 3, 32, 32)),
    "preact-bottleneck": (networks.architecture("preact-bottleneck", (1, 2, 1, 1), widths=[16, 32, 64, 128], classes=10), (2, 3, 64, 64)),
    "v1-ceil": (networks.architecture(depths=(1, 2, 1, 1), widths=[16, 32, 64, 128], stride_in="1x1", classes=10,
                                      stem={"kind": "imagenet", "width": 32, "pool": {"kernel_size": 3, "stride": 2, "padding": 0, "ceil_mode": True}}), (2, 3, 61, 83)),
    "resnext": (networks.architecture(depths=(1, 1, 1, 1), groups=32, width_per_group=4, classes=10), (2, 3, 64, 64)),
}
TORCHVISION = {
    "resnet50": lambda: torchvision.models.resnet50(),
    "resnet18": lambda: torchvision.models.resnet18(),
    "resnext": lambda: torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=10, groups=32, width_per_group=4),
}


def write(name, tensors, metadata, quiet=False):
    metadata |= {"torch": torch.__version__, "torchvision": torchvision.__version__}
    tensors = {key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()}
    data = convert_open_nsfw.canonical(save(tensors, metadata))
    (HERE / f"{name}.safetensors").write_bytes(data)
    print(f"{name}: {len(data)} bytes" if quiet else f"{name}: {len(data)} bytes; " + ", ".join(f"{key} {metadata[key]}" for key in sorted(metadata) if "error" in key or "difference" in key))


def hashed_network(name):
    """The network in eval mode with hashed weights: torchvision's own class where it has one, checked against ours; ours elsewhere."""
    ours = networks.ResNet(ARCHITECTURES[name][0]).eval()
    state = {key: torch.from_numpy(value) for key, value in hashed.state_dict({key: value.shape for key, value in ours.state_dict().items()}).items()}
    ours.load_state_dict(state)
    if name not in TORCHVISION:
        return ours
    theirs = TORCHVISION[name]().eval()
    theirs.load_state_dict(state)
    x = torch.from_numpy(hashed.values("input", ARCHITECTURES[name][1]))
    with torch.no_grad():
        assert torch.equal(theirs(x), ours(x)), f"{name}: our torch network differs from torchvision's"
    return theirs


def relative(found, wanted):
    """The largest difference as a share of the largest value."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def sample(tensor, samples=SAMPLES):
    """(every k-th element in flat order, k): k has no factor 2, 3, 5 or 7, so that the samples wander over all axes."""
    flat = tensor.reshape(-1)
    k = max(1, -(-flat.size // samples))
    while k > 1 and any(k % factor == 0 for factor in (2, 3, 5, 7)):
        k += 1
    return flat[::k], k


def make_network(name):
    description, shape = ARCHITECTURES[name]
    net = hashed_network(name)
    tensors, layout, errors = {}, {}, {}
    with torch.no_grad():
        x = torch.from_numpy(hashed.values("input", shape))
        single = networks.stage_outputs(net, x)
        net = net.double()
        for key, value in networks.stage_outputs(net, x.double()).items():
            value = value.numpy()
            errors[key] = relative(single[key].numpy(), value)
            stored, k = (value, 1) if key in ("logits", "features") else sample(value)
            layout[key] = {"shape": list(value.shape), "every": k}
            tensors[key] = stored.astype(np.float32)
            tensors[f"{key}.mean_rms"] = np.array([value.mean(), np.sqrt((value**2).mean())], np.float32)
        if description["stem"]["kind"] == "imagenet" and name.startswith("resnet"):
            x = torch.from_numpy(hashed.values("input", (1, 3, 224, 224)))
            tensors["logits_224"] = net(x.double()).numpy().astype(np.float32)
            layout["logits_224"] = {"shape": list(tensors["logits_224"].shape), "every": 1}
    metadata = {"gpu_resnet.architecture": json.dumps(description), "input_shape": json.dumps(shape), "layout": json.dumps(layout),
                "torch_f32_error": json.dumps({key: float(f"{value:.2g}") for key, value in errors.items()})}
    write(name, tensors, metadata)


def train_head(optimizer, options, dtype):
    """The losses of 50 steps of a linear head on hashed features, and the head's weight and bias after them."""
    head = torch.nn.Linear(FEATURES, CLASSES).to(dtype)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(hashed.linear("fc.weight", (CLASSES, FEATURES), FEATURES)))
        head.bias.copy_(torch.from_numpy(hashed.linear("fc.bias", (CLASSES,), FEATURES)))
    optimizer = optimizer(head.parameters(), **options)
    losses = []
    for step in range(STEPS):
        x = torch.from_numpy(np.abs(hashed.values(f"features.{step}", (BATCH, FEATURES)))).to(dtype)
        y = torch.from_numpy(hashed.targets(f"targets.{step}", BATCH, CLASSES))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(head(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses), head.weight.detach().numpy(), head.bias.detach().numpy()


# SGD's rate is small because 1e-2 makes this problem chaotic: torch's f32 and f64 losses then part by 80 %, and prove nothing.
HEADS = {
    "adam": (torch.optim.Adam, {"lr": 1e-3}),
    "adamw": (torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 0.01}),
    "sgd": (torch.optim.SGD, {"lr": 1e-4, "momentum": 0.9, "weight_decay": 1e-4}),
    "sgd-nesterov": (torch.optim.SGD, {"lr": 1e-4, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": True}),
}


def make_head():
    for name, (optimizer, options) in HEADS.items():
        losses, weight, bias = train_head(optimizer, options, torch.float32)
        exact = train_head(optimizer, options, torch.float64)
        error = {"losses": float(np.abs(losses / exact[0] - 1).max()), "weight": relative(weight, exact[1]), "bias": relative(bias, exact[2])}
        print(f"  {name}: losses {losses[:3].round(3)} … {losses[-3:].round(3)}")
        metadata = {"optimizer": name.split("-")[0], "options": json.dumps(options), "steps": str(STEPS), "batch": str(BATCH),
                    "torch_f32_error": json.dumps({key: float(f"{value:.2g}") for key, value in error.items()})}
        write(f"head_{name.replace('-', '_')}", {"losses": losses.astype(np.float32), "weight": weight, "bias": bias}, metadata)


def make_train_resnet20():
    tensors, differences = train_resnet20.make()
    print("  losses", tensors["losses"].round(4)[[0, 1, 2, 9, 19, 29]], *differences.items(), sep="\n  ")
    metadata = {"gpu_resnet.architecture": json.dumps(train_resnet20.ARCHITECTURE), "optimizer": "sgd", "options": json.dumps(train_resnet20.OPTIONS),
                "steps": str(train_resnet20.STEPS), "batch": str(train_resnet20.BATCH), "input_shape": json.dumps([train_resnet20.BATCH, 3, train_resnet20.SIZE, train_resnet20.SIZE]),
                "torch_f32_error": json.dumps(differences.pop("torch_f32")), "wrong": json.dumps(differences)}
    write("train_resnet20", {key: value.astype(np.float32) for key, value in tensors.items()}, metadata)


def make_train_amp():
    tensors, differences = train_amp.make()
    metadata = {"gpu_resnet.architecture": json.dumps(train_amp.ARCHITECTURE), "options": json.dumps(train_amp.OPTIONS), "input_shape": json.dumps([train_amp.BATCH, 3, train_amp.SIZE, train_amp.SIZE]),
                "torch_amp_error": json.dumps(differences["torch_amp"]), "torch_f32_error": json.dumps(differences["torch_f32"])}
    write("train_amp", {key: value.astype(np.float32) for key, value in tensors.items()}, metadata)


def make_gradients():
    for kind in gradients.KINDS:
        tensors, metadata = gradients.make(kind, sample)
        worst = {mode: max(errors.values()) for mode, errors in metadata["torch_f32_error"].items()}
        print(f"  {kind}: {metadata['input']}, margin {metadata['margin']}, torch's own worst error in f32 {worst}")
        write(f"gradients-{kind}", tensors, {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}, quiet=True)


def rounded_graph(model):
    """The ONNX model with its convolution and classifier weights rounded to f16; biases stay, as in our f16 file."""
    from onnx import numpy_helper
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float32 and value.ndim > 1:
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16).astype(np.float32), tensor.name))
    return model


def converted(path):
    """A converted file as a torch network."""
    from safetensors import safe_open
    with safe_open(path, "np") as file:
        net = networks.ResNet(json.loads(file.metadata()["gpu_resnet.architecture"]))
    missing, extra = net.load_state_dict({key: torch.from_numpy(value.astype(np.float32)) for key, value in load_file(path).items()}, strict=False)
    assert not extra and all(key.endswith("num_batches_tracked") for key in missing), (missing, extra)
    return net.eval()


def make_open_nsfw():
    import onnx
    import onnxruntime
    from PIL import Image
    from torchvision import transforms

    preprocess = convert_open_nsfw.PREPROCESS
    transform = transforms.Compose([transforms.Resize(preprocess["resize"]), transforms.CenterCrop(preprocess["crop"])])  # Pillow's bilinear
    crops = np.stack([np.asarray(transform(Image.open(HERE / "photos" / name).convert("RGB"))) for name in PHOTOS])
    bgr = crops[..., ::-1].astype(np.float32) - np.array([104, 117, 123], np.float32)

    path = convert_open_nsfw.packaged_onnx()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == convert_open_nsfw.ONNX_SHA256
    names = {"probabilities": "outputs", "logits": "fc_nsfw/BiasAdd:0", "features": "Reshape:0"}
    tensors = {"crops": crops}
    for suffix, model in (("", onnx.load(path)), ("_f16", rounded_graph(onnx.load(path)))):
        model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(names[key]) for key in ("logits", "features"))
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        for key, value in zip(names, session.run(list(names.values()), {"input:0": bgr})):
            tensors[key + suffix] = value

    # The conversions, through torch, must be that network: f32 to 1e-5 of the original, f16 to 1e-3 of it and to 1e-5 of the rounded graph.
    mean, std = np.array(preprocess["mean"]), np.array(preprocess["std"])
    x = torch.from_numpy(((crops / 255 - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)
    single = HERE / "thin-f32.part"
    single.write_bytes(save(convert_open_nsfw.convert(path, np.float32), convert_open_nsfw.METADATA))
    differences = {}
    backwards = torch.from_numpy(((crops[..., ::-1] / 255 - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)
    try:
        with torch.no_grad():
            for name, file, key, limit in (("f32", single, "", 1e-5), ("f16", WEIGHTS / "resnet50-thin.safetensors", "", 1e-3),
                                           ("f16_rounded", WEIGHTS / "resnet50-thin.safetensors", "_f16", 1e-5)):
                net = converted(file)
                found = net(x)
                differences[name] = float(np.abs(torch.softmax(found, 1).numpy() - tensors["probabilities" + key]).max())
                differences[f"{name}_logits"] = float(np.abs(found.numpy() - tensors["logits" + key]).max())
                assert differences[name] <= limit, f"{name}: probabilities differ by {differences[name]}, more than {limit}"
                # Negative control: with its colours the wrong way round the network must be seen to differ.
                wrong = float(np.abs(net(backwards).numpy() - tensors["logits" + key]).max())
                assert wrong > 0.1, f"{name}: swapped colours change the logits by {wrong} only"
    finally:
        single.unlink()
    print("  P(unsafe):", dict(zip(PHOTOS, tensors["probabilities"][:, 1].round(6).tolist())))
    write("open_nsfw", tensors, {"photos": json.dumps(PHOTOS), "preprocess": json.dumps(preprocess), "onnx_sha256": convert_open_nsfw.ONNX_SHA256,
                                 "onnxruntime": onnxruntime.__version__, "crops_sha256": json.dumps([hashlib.sha256(crop.tobytes()).hexdigest() for crop in crops]),
                                 "torch_difference": json.dumps({key: float(f"{value:.2g}") for key, value in differences.items()})})


def main():
    makers = {name: lambda name=name: make_network(name) for name in ARCHITECTURES} | {"head": make_head, "gradients": make_gradients, "grad_cam": lambda: write("grad_cam", *grad_cam.make()), "one_output": lambda: write("one_output", *one_output.make()), "train_resnet20": make_train_resnet20, "train_amp": make_train_amp, "open_nsfw": make_open_nsfw}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to make (default: all): {' '.join(makers)}")
    wanted = parser.parse_args().names or list(makers)
    unknown = set(wanted) - set(makers)
    if unknown:
        parser.error(f"unknown: {' '.join(sorted(unknown))}")
    for name in wanted:
        makers[name]()


if __name__ == "__main__":
    main()
