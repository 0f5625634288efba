"""The picture that all of these files show."""
import io

import numpy as np
from PIL import Image


def picture(width=29, height=21):
    """A smooth scene with edges of strong colours and no symmetry, so that a wrong orientation shows."""
    y, x = np.mgrid[0:height, 0:width]
    red = 40 + 6 * x
    green = 230 - 8 * y
    blue = 128 + 100 * np.sin(x / 4.0) * np.cos(y / 5.0)
    blue = np.where((x > width // 2) & (y < height // 3), 15, blue)
    blue = np.where((x > 32) & (y < 24) | (y > 23) & (x < 33), 255 - blue, blue)
    red = np.where((x > 7) & (x < 12) & (y > height // 2), 250, red)
    return Image.fromarray(np.stack([red, green, blue], axis=2).clip(0, 255).astype(np.uint8))


def alpha(width=29, height=21):
    """Transparency that grows from left to right."""
    return Image.fromarray((np.mgrid[0:height, 0:width][1] * 255 // (width - 1)).astype(np.uint8))


def encode(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()
