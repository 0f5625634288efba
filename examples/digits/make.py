#!/usr/bin/env python3
"""Writes the UCI optical digits, from scikit-learn's packaged copy, as 8x8 grey PNG files: train/DIGIT/NNNN.png and test/DIGIT/NNNN.png.

    python3 -m venv venv && venv/bin/pip install numpy scikit-learn
    venv/bin/python examples/digits/make.py

NNNN is the image's place in the data set, and a pixel is round(v * 255 / 16) of the set's v in 0..16. The split is fixed and stratified:
360 of the 1,797 images are held out, each digit in its share (largest remainders first), picked by a seeded shuffle.
"""
import pathlib
import shutil
import struct
import zlib

import numpy as np
from sklearn.datasets import load_digits

HELD_OUT = 360
SEED = 0
HERE = pathlib.Path(__file__).parent


def held_out(labels):
    """True for the images of the test split."""
    counts = np.bincount(labels)
    share = HELD_OUT * counts / len(labels)
    quota = np.floor(share).astype(int)
    quota[np.argsort(quota - share, kind="stable")[: HELD_OUT - quota.sum()]] += 1
    shuffle = np.random.RandomState(SEED)  # numpy promises that this generator never changes
    mask = np.zeros(len(labels), bool)
    for digit, size in enumerate(quota):
        mask[shuffle.permutation(np.flatnonzero(labels == digit))[:size]] = True
    return mask


def png(grey):
    """The smallest of a few encodings of an 8-bit grey image as a PNG file."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    before = np.hstack([np.zeros((len(grey), 1), np.uint8), grey[:, :-1]])
    above = np.vstack([np.zeros((1, grey.shape[1]), np.uint8), grey[:-1]])
    filtered = [grey, grey - before, grey - above]  # PNG filters 0, 1 and 2, modulo 256
    candidates = []
    for kind, rows in enumerate(filtered):
        data = b"".join(bytes([kind]) + row.tobytes() for row in rows)
        for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED):
            packer = zlib.compressobj(9, zlib.DEFLATED, 9, 9, strategy)
            candidates.append(packer.compress(data) + packer.flush())
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", min(candidates, key=len)) + chunk(b"IEND", b"")


def main():
    digits = load_digits()
    pixels = np.rint(digits.images * 255 / 16).astype(np.uint8)
    test = held_out(digits.target)
    for split in ("train", "test"):
        shutil.rmtree(HERE / split, ignore_errors=True)
    size = 0
    for index, (image, digit) in enumerate(zip(pixels, digits.target)):
        folder = HERE / ("test" if test[index] else "train") / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        size += (folder / f"{index:04}.png").write_bytes(png(image))
    print(f"{(~test).sum()} images in train, {test.sum()} in test, {size} bytes; test images of each digit: {np.bincount(digits.target[test]).tolist()}")


if __name__ == "__main__":
    main()
