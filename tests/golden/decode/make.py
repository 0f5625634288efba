#!/usr/bin/env python3
"""Writes decode.safetensors: images as cameras, scanners and odd programs write them, and the pixels that Pillow reads from them.

    apt-get install libjpeg-turbo-progs          # cjpeg and jpegtran, for JPEGs that Pillow can't write
    python3 -m venv V && V/bin/pip install -r ../requirements.txt && V/bin/python make.py

For each image: KIND/NAME.file has the encoded bytes, KIND/NAME.png a PNG of ImageOps.exif_transpose(image).convert("RGB"). The metadata
`pillow` is Pillow's version. An image that Pillow can't read is an error.
"""
import io
import pathlib
import sys

import numpy as np
import PIL
from PIL import Image, ImageOps
from safetensors.numpy import save_file

import bmp
import gif
import jpeg
import metadata
import pnm
import tiff
import webp

HERE = pathlib.Path(__file__).parent


def pixels(data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def main():
    tensors = {}
    for kind in (jpeg, metadata, gif, webp, tiff, pnm, bmp):
        for name, data in kind.images().items():
            key = f"{kind.__name__}/{name}"
            try:
                expected = pixels(data)
            except Exception as error:
                sys.exit(f"{key}: Pillow can't read it: {error!r}")
            tensors[f"{key}.file"] = np.frombuffer(data, np.uint8)
            tensors[f"{key}.png"] = np.frombuffer(expected, np.uint8)
    path = HERE.parent / "decode.safetensors"
    save_file(tensors, path, metadata={"pillow": PIL.__version__})
    print(path, path.stat().st_size, "bytes,", len(tensors) // 2, "images")


if __name__ == "__main__":
    main()
