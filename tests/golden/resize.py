"""Writes resize.safetensors: Pillow's Image.resize and torchvision's Resize + CenterCrop on images that Rust makes alike.

Run: python3 -m venv V && V/bin/pip install pillow numpy safetensors torch torchvision && V/bin/python resize.py

A case is one tensor of the expected u8 pixels (HWC); its name says everything that makes it again:
  resize/KIND/WxH/WxH/FILTER             source kind, source size, target size
  preprocess/KIND/WxH/RESIZE/CROP/FILTER source kind, source size, Resize, CenterCrop
The source's byte i (row-major HWC) comes from a hash of (KIND, i), see source(); tests/data/golden.rs has the same lines.
"""

import pathlib

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from safetensors.numpy import save_file
from torchvision import transforms
from torchvision.transforms import InterpolationMode

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}

# Source and target size; noise and hard edges, because clipping between the passes shows only on those.
RESIZES = [
    ((1, 1), (5, 3)), ((1, 1), (1, 1)), ((1, 7), (4, 4)), ((9, 1), (3, 6)), ((2, 2), (33, 17)), ((8, 8), (40, 40)),
    ((17, 23), (17, 23)), ((17, 23), (17, 11)), ((17, 23), (8, 23)), ((31, 29), (30, 28)), ((31, 29), (32, 30)),
    ((64, 48), (21, 16)), ((101, 67), (37, 53)), ((100, 100), (1, 1)), ((127, 3), (5, 5)), ((640, 427), (36, 24)),
    ((1200, 900), (28, 21)), ((45, 60), (40, 45)), ((20, 26), (37, 22)),
]
PREPROCESSES = [
    ((40, 30), 32, 28), ((30, 40), 32, 28), ((33, 33), 33, 20), ((37, 53), 32, 27), ((53, 37), 32, 27), ((61, 20), 17, 16),
    ((20, 61), 17, 16), ((500, 375), 36, 32), ((375, 500), 36, 31), ((12, 9), 16, 24), ((9, 12), 16, 23), ((10, 40), 16, 24),
    ((1, 1), 8, 8), ((1, 50), 6, 5), ((300, 1), 2, 5), ((28, 28), 36, 33), ((257, 255), 37, 32), ((8, 8), 32, 32),
]


def source(kind, width, height):
    seed = 0xCBF29CE484222325
    for byte in kind.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (np.arange(height * width * 3, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    byte = z >> np.uint64(56)
    if kind == "edges":
        byte = np.where(byte >= 128, 255, 0)
    elif kind == "smooth":
        i = np.arange(height * width * 3)
        x, y, c = i // 3 % width, i // 3 // width, i % 3
        byte = (x * 5 + y * 3 + c * 70) % 256
    return byte.astype(np.uint8).reshape(height, width, 3)


def main():
    out = {}
    for kind in ("noise", "edges", "smooth"):
        for name in FILTERS:
            for (w, h), (tw, th) in RESIZES:
                picture = Image.fromarray(source(kind, w, h)).resize((tw, th), FILTERS[name])
                out[f"resize/{kind}/{w}x{h}/{tw}x{th}/{name}"] = np.asarray(picture)
            for (w, h), resize, crop in PREPROCESSES:
                if kind == "smooth":
                    continue
                pipeline = transforms.Compose([transforms.Resize(resize, MODES[name]), transforms.CenterCrop(crop)])
                picture = pipeline(Image.fromarray(source(kind, w, h)))
                assert picture.size == (crop, crop)
                out[f"preprocess/{kind}/{w}x{h}/{resize}/{crop}/{name}"] = np.asarray(picture)
    path = pathlib.Path(__file__).with_name("resize.safetensors")
    versions = {"pillow": PIL.__version__, "torch": torch.__version__, "torchvision": torchvision.__version__}
    save_file({k: np.ascontiguousarray(v) for k, v in out.items()}, path, metadata=versions)
    print(path, path.stat().st_size, "bytes,", len(out), "cases", versions)


if __name__ == "__main__":
    main()
