#!/usr/bin/env python3
"""Writes damaged pictures, and what Pillow reads from each: for the ignored test `damaged_pictures_are_pillows_or_refused`.

    V/bin/python damaged.py FOLDER [COUNT [SEED]]        # V as in make.py; COUNT of each kind (2000)
    GPU_RESNET_DAMAGED=FOLDER cargo test --release --test data -- --ignored --nocapture damaged_pictures

FOLDER/KIND/NUMBER is a file of decode.safetensors (or a PNG or WebP made here) with one to three bytes changed or its end cut off, and
FOLDER/KIND.txt has a line for each: its number, the SHA-256 of Pillow's RGB pixels, and that without vector code, where damage can make
libjpeg's arithmetic overflow; `refused` stands for pixels if Pillow refuses the file.
"""
import hashlib
import io
import os
import pathlib
import random
import subprocess
import sys
import warnings

import numpy as np
from PIL import Image, ImageOps
from safetensors import safe_open

HERE = pathlib.Path(__file__).parent
MOST_PIXELS = 4_000_000
# Read with other pixels on purpose, or not to be told from good ones: see docs/guide/data.md. Damage of a fax shows only in its pixels.
LEFT_OUT = ("cmyk", "ycck", "rgb_5", "group4")
KINDS = ("jpeg", "png", "webp", "gif", "tiff", "bmp", "pnm")


def digest(data):
    """Pillow's pixels; none if there are too many to try."""
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MOST_PIXELS:
            return None
        return hashlib.sha256(ImageOps.exif_transpose(image).convert("RGB").tobytes()).hexdigest()
    except Exception:
        return "refused"


def sources(kind):
    with safe_open(HERE.parent / "decode.safetensors", "np") as stored:
        names = sorted(name for name in stored.keys() if name.startswith(f"{kind}/") and name.endswith(".file"))
        found = [stored.get_tensor(name).tobytes() for name in names if not any(word in name for word in LEFT_OUT)]
    pixels = np.random.default_rng(1).integers(0, 256, (33, 40, 3), dtype=np.uint8)
    if kind == "png":
        for mode in ("RGB", "L", "P", "1", "RGBA"):
            found.append(encoded(Image.fromarray(pixels).convert(mode), "PNG"))
    if kind == "webp":
        found += [encoded(Image.fromarray(pixels), "WEBP", quality=30), encoded(Image.fromarray(pixels), "WEBP", lossless=True)]
    return found


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def damage(data, draws):
    data = bytearray(data)
    if draws.random() < 0.1:
        return bytes(data[: draws.randrange(8, len(data))])
    for _ in range(draws.choice([1, 1, 1, 2, 3])):
        # Half of the hits are in the headers, where lengths and sizes are.
        at = draws.randrange(min(len(data), 200) if draws.random() < 0.5 else len(data))
        data[at] = draws.choice([draws.randrange(256), data[at] ^ 1 << draws.randrange(8), 0, 255, 1, 2, (data[at] + 1) % 256])
    return bytes(data)


def main():
    folder, count, seed = pathlib.Path(sys.argv[1]), int((sys.argv + ["2000"] * 2)[2]), int((sys.argv + ["1"] * 3)[3])
    for kind in KINDS:
        draws = random.Random(f"{kind} {seed}")
        (folder / kind).mkdir(parents=True, exist_ok=True)
        files = sources(kind)
        with open(folder / f"{kind}.txt", "w") as found:
            number = 0
            while number < count:
                data = damage(draws.choice(files), draws)
                pixels = digest(data)
                if pixels is not None:
                    (folder / kind / str(number)).write_bytes(data)
                    print(number, pixels, file=found)
                    number += 1
    # The same in a process whose libjpeg takes its portable code.
    plain = subprocess.run([sys.executable, __file__, folder], env={**os.environ, "JSIMD_FORCENONE": "1"}, check=True)
    return plain.returncode


def again(folder):
    for kind in KINDS:
        path = folder / f"{kind}.txt"
        lines = [line.split() for line in path.read_text().splitlines()]
        path.write_text("".join(f"{line[0]} {line[1]} {digest((folder / kind / line[0]).read_bytes())}\n" for line in lines))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if "JSIMD_FORCENONE" in os.environ:
        again(pathlib.Path(sys.argv[1]))
    else:
        sys.exit(main())
