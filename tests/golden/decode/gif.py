"""GIFs whose first frame is not the canvas."""
import struct

from scene import encode, picture


def parts(image):
    """A GIF's palette and compressed pixels."""
    data = encode(image, "GIF")
    flags = data[10]
    palette = data[13 : 13 + (3 << (flags & 7) + 1)]
    at = data.index(b",", 13 + len(palette))
    return flags & 7, palette, data[at + 10 : -1]


def build(canvas, at, image, background=0, transparent=None, palette=True, local=False, interlaced=False, disposal=0):
    bits, colors, compressed = parts(image)
    flags = 0x80 | bits if palette and not local else 0
    data = b"GIF89a" + struct.pack("<HHBBB", *canvas, flags, background, 0) + (colors if flags else b"")
    if transparent is not None:
        data += b"!\xf9\x04" + bytes([1 | disposal << 2, 0, 0, transparent, 0])
    own = (0x80 | bits if local else 0) | (0x40 if interlaced else 0)
    data += b"," + struct.pack("<HHHHB", *at, *image.size, own) + (colors if local else b"")
    return data + compressed + b";"


def images():
    small = picture(13, 9).quantize(14)
    grey = picture(13, 9).convert("L")
    return {
        "whole": build((13, 9), (0, 0), small),
        "inside": build((20, 15), (3, 4), small),
        "inside_background": build((20, 15), (3, 4), small, background=5),
        "inside_transparent": build((20, 15), (3, 4), small, background=5, transparent=7),
        "inside_disposed": build((20, 15), (3, 4), small, background=5, transparent=7, disposal=2),
        "inside_local": build((20, 15), (0, 4), small, local=True),
        "over_the_edge": build((10, 15), (3, 4), small),
        "corner": build((13, 9), (13, 9), small),
        "no_palette": build((20, 15), (3, 4), grey, palette=False),
        "interlaced": build((20, 15), (3, 4), small, interlaced=True),
        "few_colors": build((20, 15), (3, 4), picture(13, 9).quantize(3), transparent=200),
    }
