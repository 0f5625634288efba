#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets into the folder that is named, from files of this repository: one folder for each target.

    fuzz/seeds.py FOLDER

Only Python's own modules are needed. The first byte of most seeds says what is read (fuzz_targets/*.rs).
"""
import gzip
import hashlib
import io
import json
import math
import pathlib
import struct
import sys
import tarfile
import zipfile

import parquet_files

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/golden"
# Larger ones are mutated slowly and find no more.
MOST = 64 << 10


def tensors(path):
    """The names of a safetensors file and the bytes of each."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    for name, about in header.items():
        if name != "__metadata__":
            begin, end = about["data_offsets"]
            yield name, data[8 + size + begin : 8 + size + end]


def safetensors(entries, metadata=None):
    """A small safetensors file of (name, dtype, shape, bytes)."""
    header, body = ({"__metadata__": metadata} if metadata else {}), b""
    for name, dtype, shape, data in entries:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def idx(shape, data):
    """An IDX file of bytes."""
    return bytes([0, 0, 8, len(shape)]) + b"".join(struct.pack(">I", n) for n in shape) + data


def pair(first, second):
    """Two files as one input."""
    return struct.pack("<H", len(first)) + first + second


def tar(names):
    """A .tar.gz of files of four bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in names:
            about = tarfile.TarInfo(name)
            about.size = 4
            archive.addfile(about, io.BytesIO(b"abcd"))
    return out.getvalue()


def weights():
    for path in sorted([*(GOLDEN / "pth").rglob("*"), *(GOLDEN / "checkpoints").rglob("*")]):
        if path.is_file() and path.suffix != ".json":
            yield path.read_bytes()
    # A PyTorch file of this repository may lie in a safetensors file of many.
    for path in sorted(GOLDEN.glob("*.safetensors")):
        yield from (data for _, data in tensors(path) if data[:4] == b"PK\x03\x04" or data[:2] == b"\x80\x02")
        if path.stat().st_size <= MOST:
            yield path.read_bytes()
    yield safetensors([("fc.weight", "F32", [1, 2], bytes(8)), ("fc.bias", "F16", [1], bytes(2))], {"format": "pt"})


def pickles():
    for path in sorted((GOLDEN / "pth").iterdir()):
        data = path.read_bytes()
        if data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from (b"\0" + archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
        elif data[:1] == b"\x80":
            yield b"\2" + data
    # A state dict of one tensor, and one inside of another, by protocol 2.
    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0%dX\3\0\0\0cpuK\x10tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0K\4K\4\x86K\4K\1\x86\x89ccollections\nOrderedDict\n)RtR"
    for kind in (b"\0", b"\1"):
        yield kind + b"\x80\2}X\x09\0\0\0fc.weight" + tensor % 0 + b"s."
        yield kind + b"\x80\2}X\x0a\0\0\0state_dict}(X\x09\0\0\0fc.weight" + tensor % 0 + b"X\7\0\0\0fc.bias" + tensor % 1 + b"us."


def networks():
    preprocessor = '{"resize": 16, "crop": 16, "mean": [0, 0, 0], "std": [1, 1, 1]}'
    transformers = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [4, 8], "embedding_size": 4, "layer_type": "basic", "id2label": {"0": "a", "1": "b"}}
    timm = {"architecture": "resnet18", "num_classes": 2, "pretrained_cfg": {"input_size": [3, 16, 16], "mean": [0, 0, 0], "crop_pct": 0.9}}
    small = {"widths": [4, 8], "depths": [1, 1], "stem": {"kind": "cifar", "width": 4}, "classes": 2}
    large = {"block": "bottleneck", "depths": [3, 4, 6, 3]}
    for description in (
        {"block": "basic", **small},
        {"block": "bottleneck", "stride_in": "1x1", **small},
        {"block": "plain", **small},
        {"block": "preact-basic", **small},
        {"block": "preact-bottleneck", "shortcut": "projection-all", **small},
        {"block": "basic", "shortcut": "zero-pad", **small},
        {"block": "bottleneck", "groups": 2, "width_per_group": 32, **small},
        {"block": "basic", **small, "stem": {"kind": "imagenet", "width": 4, "pool": {"ceil_mode": True, "padding": 0}}},
        large,
    ):
        for config, changes in ((transformers, ""), (timm, "bare\ntype fc.weight F16\n"), ({}, "drop fc.bias\nname fc.weight head.weight\nshape bn1.bias 5\nfill bn1.running_var 255\n")):
            yield "\n---\n".join([json.dumps(description), json.dumps(config), preprocessor, changes]).encode()


def checkpoints():
    tensors = [("conv1.weight", [2, 3, 3, 3])]
    tensors += [(f"{conv}.weight", [2, 2, 3, 3]) for conv in ("layer1.0.conv1", "layer1.0.conv2")]
    norms = [(f"{bn}.{part}", [2]) for bn in ("bn1", "layer1.0.bn1", "layer1.0.bn2") for part in ("weight", "bias", "running_mean", "running_var")]
    head = [("fc.weight", [2, 2]), ("fc.bias", [2])]
    state = tensors + norms + head
    moments = [(f"{moment}.{name}", shape) for name, shape in head for moment in ("exp_avg", "exp_avg_sq")]

    def file(entries, metadata):
        return safetensors([(name, "F32", shape, bytes(4 * math.prod(shape))) for name, shape in entries], metadata)

    numbers = {"version": "1", "epoch": "1", "step": "2", "best.epoch": "1", "best.val_loss": "0.5", "best.val_accuracy": "1"}
    yield b"\0" + file(state + moments, numbers)
    scale = {"loss_scale": "1024", "loss_scale.good_steps": "1", "loss_scale.skipped": "1"}
    yield b"\1" + file(state + [(f"ema.{name}", shape) for name, shape in state] + moments, {**numbers, **scale})
    pair_of = lambda prefix: [(f"{prefix}weight", [2, 2]), (f"{prefix}bias", [2])]
    identity = {"optimizer": "Adam(AdamAttributes { lr: 0.001, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false, maximize: false })", "lr": "0.0001", "batch_size": "32", "label_smoothing": "0", "seed": "0", "examples": "2", "labels": hashlib.sha256(struct.pack("<II", 0, 1)).hexdigest()}
    entries = pair_of("") + pair_of("best.") + pair_of("exp_avg.") + pair_of("exp_avg_sq.") + [("scaler.mean", [2]), ("scaler.scale", [2])]
    yield b"\2" + file(entries, {**numbers, **identity, "milestone.epoch": "1", "milestone.val_loss": "0.5"})
    optimizer = '[training.optimizer]\nname = "adam"\nweight_decay = 0.0\nbetas = [0.9, 0.999]\neps = 1e-8\n'
    training = '[training]\nrecipe = "auto"\nlr = 0.01\nepochs = 3\nbatch_size = 4\nlabel_smoothing = 0.0\nseed = 0\n' + optimizer
    network = '[network]\nunfreeze = "all"\nbn = "train"\nbias_decay = true\nema = 0.9\npatience = 2\nlog_gradients = false\nrecompute = "none"\n[network.schedule]\ncurve = "step"\nmilestones = [1]\ngamma = 0.1\nwarmup_epochs = 0.0\n'
    metrics = b'{"epoch":1,"step":3,"train_loss":1.0,"train_accuracy":0.5,"val_loss":null,"val_accuracy":null,"lr":0.1,"images_per_second":10.0}\n'
    unreadable = b'{"train": [{"index": 1, "name": "a.png"}], "val": []}'
    for config in (training, 'classes = ["a", "b"]\nimages = ["x"]\n[command]\ndata = "d"\n' + training, training + network):
        yield b"\3" + pair(config.encode(), pair(metrics, unreadable))


def images():
    for name, data in tensors(GOLDEN / "decode.safetensors"):
        if name.endswith(".file"):
            yield data
    for path in sorted((ROOT / "examples/digits/test").rglob("*.png"))[:4]:
        yield path.read_bytes()
    yield from (b"P5 2 2 255\nabcd", b"P3\n# c\n1 1 255 1 2 3\n", b"P4 9 1\nab", b"P6 1 1 65535 abcdef")


def data():
    image, label = idx([1, 2, 2], b"abcd"), idx([1], b"\1")
    record = b"\3" + bytes(3072)
    yield from (b"\0" + text for text in (b"path,label\na.png,cat\n", b"a.png\t1\n", b'"a.png";"x ""y"""\r\n'))
    yield b"\1" + pair(label, image)
    yield b"\2" + pair(gzip.compress(label, mtime=0), gzip.compress(image, mtime=0))
    yield b"\3" + pair(b"cat\ndog\n", record)
    yield b"\4" + pair(b"cat\ndog\n", b"\1" + record)
    yield b"\5cat\ndog\n7\n007\n\xc3\xa9\ntrain\nval\n.git"
    yield b"\6" + safetensors([("images", "U8", [1, 2, 2, 3], bytes(12)), ("labels", "I64", [1], bytes(8))])
    yield b"\6" + safetensors([("images", "F32", [1, 3, 1, 1], bytes(12)), ("labels", "I32", [1], bytes(4))], {"labels": '["a"]'})
    yield from (b"\7" + file for file in parquet_files.files())


def texts():
    yield from (b"\0" + text for text in (b"cat\ndog\n", b'["a", "b"]', b'{"0": "a", "1": "b"}', b'{"a": 0}', b'{"0": ["n01", "a"]}'))
    yield b"\1" + b'[[expect]]\nvendor = 1\ndevice = "a.*"\ncase = "^relu"\nstatus = "fail"\nreason = "r"\nlink = "https://a"\n'
    yield b"\1" + (ROOT / "src/verify/expectations.toml").read_bytes() if (ROOT / "src/verify/expectations.toml").exists() else b"\1"
    for path in sorted((ROOT / "docs/results").rglob("*.json")):
        if path.stat().st_size <= 8 * MOST:
            yield b"\2" + path.read_bytes()
    yield b"\2" + b'{"schema": 1, "adapters": []}'
    yield b"\3" + b'{"made_for": {"version": "0.1.0", "name": "a GPU", "backend": "vulkan", "driver": "driver", "driver_info": "1.0", "vendor": 1, "device": 2, "shaders": ""}, "choices": {}}'
    yield b"\4" + b'seed = 0\nclasses = ["a"]\n[training]\nepochs = 1\n'
    yield b"\5" + pair(b'{"model_type": "resnet", "id2label": {"0": "a"}, "depths": [3, 4, 6, 3]}', b'{"size": {"shortest_edge": 224}}')
    yield b"\5" + pair(b'{"architecture": "resnet18", "num_classes": 2, "pretrained_cfg": {"mean": [0, 0, 0], "crop_pct": 0.9}}', b"{}")


def caches():
    metadata = {"key": "key", "sha256": "0" * 64}
    yield b"\0" + safetensors([("features", "F32", [1, 2], bytes(8)), ("images", "U8", [1, 32], bytes(32))], metadata)
    yield b"\1" + safetensors([("weight", "F32", [2, 2], bytes(16)), ("bias", "F32", [2], bytes(8))], {"version": "1", "epoch": "1", "step": "2"})
    yield b"\2" + bytes(64) + b"data"
    yield from (b"\3" + tar(names) for names in (["set/a.bin", "set/b.bin"], ["../a.bin"], ["set/a.bin", "set/a.bin", "/b.bin"]))
    yield b"\4" + gzip.compress(b"abcd", mtime=0)
    yield b"\5" + safetensors([("features", "F32", [2, 2], bytes(16)), ("images", "U8", [2, 32], bytes(64))], metadata)
    yield b"\6data"


def main():
    for kind in (weights, pickles, networks, checkpoints, images, data, texts, caches):
        folder = pathlib.Path(sys.argv[1]) / kind.__name__
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for i, seed in enumerate(kind()):
            if len(seed) <= 8 * MOST:
                (folder / f"seed-{i:03}").write_bytes(seed)
                count += 1
        print(f"{kind.__name__}: {count} seeds")


main()
