#!/usr/bin/env python3
"""Shrinks five photographs of scikit-image's to files that are small enough to keep here: three JPEG (one with halved colour) and two PNG (one with a palette)."""
import pathlib

from PIL import Image
from skimage import data

HERE = pathlib.Path(__file__).parent


def shrunk(picture, longest):
    image = Image.fromarray(picture)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return image


shrunk(data.chelsea(), 320).save(HERE / "chelsea.jpg", quality=88, subsampling=0, optimize=True)
shrunk(data.coffee(), 320).save(HERE / "coffee.jpg", quality=88, subsampling=0, optimize=True)
shrunk(data.astronaut(), 300).save(HERE / "astronaut.jpg", quality=85, subsampling=2, optimize=True)
shrunk(data.rocket(), 200).save(HERE / "rocket.png", optimize=True)
shrunk(data.hubble_deep_field(), 220).quantize(128, dither=Image.Dither.NONE).save(HERE / "hubble.png", optimize=True)
