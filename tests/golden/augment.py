"""Writes augment.safetensors: torchvision's augmentations of Pillow images, with the drawn parameters in the cases' names.

Run: python3 -m venv V && V/bin/pip install pillow numpy safetensors torch torchvision && V/bin/python augment.py

A case is one tensor of the expected u8 pixels (HWC); the source images are resize.py's:
  window/KIND/WxH/RESIZE/CROP/FILTER/PADDING/LEFT/TOP   Resize, Pad, and a crop that starts at LEFT, TOP of the padded image
  box/KIND/WxH/CROP/FILTER/LEFT/TOP/W/H                 resized_crop
  flip/KIND/WxH                                         hflip
  colors/KIND/WxH/NAME=FACTOR,...                       adjust_NAME, one after the other
  palette/NAME=FACTOR                                   the SHA-256 of adjust_NAME on palette()'s pixels
  fallback/WxH/MIN_RATIO/MAX_RATIO                      LEFT, TOP, W, H (i64) of RandomResizedCrop when no try fits
"""

import hashlib
import pathlib

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from resize import MODES, source
from safetensors.numpy import save_file
from torchvision import transforms
from torchvision.transforms import functional as F

WINDOWS = [  # source, Resize, crop, padding, then the corners
    ((32, 32), 32, 32, 4, [(0, 0), (8, 8), (3, 5), (4, 4)]),
    ((40, 30), 33, 28, 0, [(0, 0), (16, 5), (7, 2)]),
    ((17, 60), 20, 16, 3, [(0, 0), (10, 60), (4, 33)]),
    ((9, 12), 8, 12, 6, [(0, 0), (8, 10), (5, 1)]),
]
BOXES = [  # source, crop, then left, top, width, height
    ((64, 48), 24, [(0, 0, 64, 48), (3, 7, 30, 22), (63, 47, 1, 1), (10, 0, 20, 48)]),
    ((45, 101), 19, [(0, 50, 45, 51), (11, 3, 7, 90), (2, 2, 19, 19)]),
    ((1, 7), 8, [(0, 2, 1, 3)]),
]
FACTORS = {
    "brightness": [0.0, 0.37, 0.6, 1.0, 1.4, 2.3],
    "contrast": [0.0, 0.37, 0.6, 1.0, 1.4, 2.3],
    "saturation": [0.0, 0.37, 0.6, 1.0, 1.4, 2.3],
    "hue": [-0.5, -0.1, -0.003, 0.0, 0.004, 0.07, 0.1, 0.33, 0.5],
}
ORDERS = [
    "brightness=1.31,contrast=0.72,saturation=1.18,hue=0.06",
    "hue=-0.09,saturation=0.61,contrast=1.37,brightness=0.83",
    "contrast=0.65,hue=0.1,brightness=1.4,saturation=1.4",
    "saturation=1.39,brightness=0.61,hue=-0.02,contrast=0.9",
]
FALLBACKS = [((100, 20), (0.75, 4 / 3)), ((20, 100), (0.75, 4 / 3)), ((50, 49), (0.75, 4 / 3)), ((1, 9), (0.75, 4 / 3)),
             ((31, 7), (0.5, 2.0)), ((6, 33), (0.6, 1.7)), ((15, 2), (0.5, 1.25))]


def palette():
    """Every third level of red, green and blue: 636,056 colours."""
    levels = np.arange(0, 256, 3, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(levels.size, -1, 3)


def adjusted(picture, text):
    for item in text.split(","):
        name, factor = item.split("=")
        picture = getattr(F, f"adjust_{name}")(picture, float(factor))
    return picture


def main():
    out = {}
    for kind in ("noise", "smooth"):
        for name, mode in MODES.items():
            for (w, h), resize, crop, padding, corners in WINDOWS:
                padded = F.pad(F.resize(Image.fromarray(source(kind, w, h)), resize, mode), padding)
                for left, top in corners:
                    assert left + crop <= padded.width and top + crop <= padded.height, (w, h, left, top, padded.size)
                    case = f"window/{kind}/{w}x{h}/{resize}/{crop}/{name}/{padding}/{left}/{top}"
                    out[case] = np.asarray(F.crop(padded, top, left, crop, crop))
            for (w, h), crop, boxes in BOXES:
                for left, top, width, height in boxes:
                    case = f"box/{kind}/{w}x{h}/{crop}/{name}/{left}/{top}/{width}/{height}"
                    picture = Image.fromarray(source(kind, w, h))
                    out[case] = np.asarray(F.resized_crop(picture, top, left, height, width, [crop, crop], mode))
        for w, h in ((1, 3), (8, 5), (9, 4)):
            out[f"flip/{kind}/{w}x{h}"] = np.asarray(F.hflip(Image.fromarray(source(kind, w, h))))
        picture = Image.fromarray(source(kind, 31, 24))
        for text in [f"{name}={factor}" for name, factors in FACTORS.items() for factor in factors] + ORDERS:
            out[f"colors/{kind}/31x24/{text}"] = np.asarray(adjusted(picture, text))
    for text in [f"{name}={factor}" for name, factors in FACTORS.items() for factor in factors]:
        digest = hashlib.sha256(np.asarray(adjusted(Image.fromarray(palette()), text)).tobytes()).digest()
        out[f"palette/{text}"] = np.frombuffer(digest, np.uint8)
    for (w, h), ratio in FALLBACKS:
        # Twice the image's area never fits.
        top, left, height, width = transforms.RandomResizedCrop.get_params(Image.new("RGB", (w, h)), [2.0, 2.0], list(ratio))
        out[f"fallback/{w}x{h}/{ratio[0]}/{ratio[1]}"] = np.array([left, top, width, height], np.int64)
    path = pathlib.Path(__file__).with_name("augment.safetensors")
    versions = {"pillow": PIL.__version__, "torch": torch.__version__, "torchvision": torchvision.__version__}
    save_file({k: np.ascontiguousarray(v) for k, v in out.items()}, path, metadata=versions)
    print(path, path.stat().st_size, "bytes,", len(out), "cases", versions)


if __name__ == "__main__":
    main()
