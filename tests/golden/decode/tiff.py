"""TIFFs of every kind that is read."""
import io
import struct

import numpy as np
from PIL import Image
from scene import alpha, encode, picture


def deep(image):
    """16 bits of a grey picture, whose high bytes are the picture."""
    return image.astype(np.uint16) * 256 + 77


def by_hand(order, tags, *chunks, tiles=False):
    """A TIFF of the given strips or tiles, with whatever tags."""
    types = {"B": 1, "H": 3, "L": 4}
    tags = {**tags, 324 if tiles else 273: ("L", [0] * len(chunks)), 325 if tiles else 279: ("L", [len(c) for c in chunks])}
    sizes = {tag: len(values) * struct.calcsize(order + kind) for tag, (kind, values) in tags.items()}
    extra_at = 8 + 2 + 12 * len(tags) + 4
    at = extra_at + sum(size + 1 & ~1 for size in sizes.values() if size > 4)
    tags[324 if tiles else 273] = ("L", [at + sum(len(c) for c in chunks[:i]) for i in range(len(chunks))])
    entries, extra = b"", b""
    for tag in sorted(tags):
        kind, values = tags[tag]
        packed = struct.pack(order + kind * len(values), *values)
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place = struct.pack(order + "L", extra_at + len(extra))
            extra += packed + b"\0" * (len(packed) & 1)
        entries += struct.pack(order + "HHL", tag, types[kind], len(values)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "LH", 8, len(tags))
    return head + entries + bytes(4) + extra + b"".join(chunks)


def tile(image, side):
    """Square tiles of a picture, padded with noise where they reach over its edges."""
    height, width = image.shape[:2]
    size = (-(-height // side) * side, -(-width // side) * side, *image.shape[2:])
    padded = np.random.default_rng(1).integers(0, 256, size).astype(np.uint8)
    padded[:height, :width] = image
    return [padded[y : y + side, x : x + side] for y in range(0, height, side) for x in range(0, width, side)]


def tags(image, photometric, bits, **more):
    base = {
        256: ("H", [image.shape[1]]),
        257: ("H", [image.shape[0]]),
        258: ("H", bits),
        259: ("H", [1]),
        262: ("H", [photometric]),
        277: ("H", [len(bits)]),
        278: ("H", [image.shape[0]]),
    }
    return {**base, **{int(key[1:]): value for key, value in more.items()}}


def pack(values, bits):
    """Rows of small numbers, each row from a new byte."""
    rows = []
    for row in values:
        digits = "".join(f"{v:0{bits}b}" for v in row)
        digits += "0" * (-len(digits) % 8)
        rows.append(bytes(int(digits[i : i + 8], 2) for i in range(0, len(digits), 8)))
    return b"".join(rows)


def images():
    rgb = picture(19, 13)
    array = np.asarray(rgb)
    grey = np.asarray(rgb.convert("L"))
    opacity = alpha(19, 13)
    rgba = rgb.copy()
    rgba.putalpha(opacity)
    files = {}
    for name, compression in (
        ("raw", None), ("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("packbits", "packbits"),
    ):
        files[f"rgb_{name}"] = encode(rgb, "TIFF", compression=compression)
        files[f"grey_{name}"] = encode(rgb.convert("L"), "TIFF", compression=compression)
        files[f"palette_{name}"] = encode(rgb.quantize(40), "TIFF", compression=compression)
        files[f"bits_{name}"] = encode(rgb.convert("1"), "TIFF", compression=compression)
    files["bits_group4"] = encode(rgb.convert("1"), "TIFF", compression="group4")
    files["rgb_lzw_predictor"] = encode(rgb, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    rgbx = rgb.convert("RGBX")
    files["rgbx_lzw_predictor"] = encode(rgbx, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    files["grey_alpha_lzw_predictor"] = encode(rgba.convert("LA"), "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    # A predictor means nothing where there is no compression that has one.
    files["rgb_raw_predictor"] = encode(rgb, "TIFF", tiffinfo={317: 2})
    files["bits_packbits_predictor"] = encode(rgb.convert("1"), "TIFF", compression="packbits", tiffinfo={317: 2})
    files["rgb_strips"] = encode(rgb, "TIFF", compression="tiff_lzw", tiffinfo={278: 4})
    files["rgba"] = encode(rgba, "TIFF")
    files["grey_alpha"] = encode(Image.merge("LA", (rgb.convert("L"), opacity)), "TIFF")
    files["cmyk"] = encode(rgb.convert("CMYK"), "TIFF")
    files["cmyk_lzw"] = encode(rgb.convert("CMYK"), "TIFF", compression="tiff_lzw")
    big = io.BytesIO()
    rgb.save(big, "TIFF", big_tiff=True)
    files["rgb_bigtiff"] = big.getvalue()

    # JPEGs in strips and, as libtiff writes it, with tables apart; in YCbCr of 4:2:0 and in grey.
    large = picture(40, 37)
    files["jpeg_ycbcr"] = encode(large, "TIFF", compression="jpeg", quality=90, tiffinfo={278: 16})
    files["jpeg_grey"] = encode(large.convert("L"), "TIFF", compression="jpeg", quality=90)

    for order in "<>":
        name = "little" if order == "<" else "big"
        wide = np.dtype(np.uint16).newbyteorder(order)
        files[f"rgb16_{name}"] = by_hand(order, tags(array, 2, [16] * 3), deep(array).astype(wide).tobytes())
        files[f"rgb_{name}"] = by_hand(order, tags(array, 2, [8] * 3), array.tobytes())
        for bits in (1, 2, 4):
            small = grey >> (8 - bits)
            files[f"grey{bits}_{name}"] = by_hand(order, tags(array, 1, [bits]), pack(small, bits))
            files[f"inverted{bits}_{name}"] = by_hand(order, tags(array, 0, [bits]), pack(small, bits))
            colors = [int(v) * 256 + 3 for c in range(3) for v in np.linspace(30 * c, 255 - 70 * c, 1 << bits)]
            files[f"palette{bits}_{name}"] = by_hand(order, tags(array, 3, [bits], t320=("H", colors)), pack(small, bits))
        files[f"inverted8_{name}"] = by_hand(order, tags(array, 0, [8]), grey.tobytes())
    planes = [np.ascontiguousarray(array[..., c]).tobytes() for c in range(3)]
    files["rgb_planar"] = by_hand("<", tags(array, 2, [8] * 3, t284=("H", [2])), *planes)
    tiled = tags(array, 2, [8] * 3, t322=("H", [16]), t323=("H", [16]))
    files["rgb_tiles"] = by_hand("<", tiled, *(t.tobytes() for t in tile(array, 16)), tiles=True)
    planes = [t.tobytes() for c in range(3) for t in tile(array[..., c], 16)]
    files["rgb_planar_tiles"] = by_hand("<", {**tiled, 284: ("H", [2])}, *planes, tiles=True)
    jpegs = [encode(Image.fromarray(t), "JPEG", quality=95, subsampling=2) for t in tile(array, 16)]
    jpeg_tags = {**tiled, 259: ("H", [7]), 262: ("H", [6]), 530: ("H", [2, 2])}
    files["jpeg_tiles"] = by_hand(">", jpeg_tags, *jpegs, tiles=True)
    four = np.dstack([array, np.asarray(opacity)])
    multiplied = np.dstack([array * (np.asarray(opacity)[..., None] / 255.0), np.asarray(opacity)]).astype(np.uint8)
    files["rgbx"] = by_hand("<", tags(array, 2, [8] * 4, t338=("H", [0])), four.tobytes())
    files["rgba_no_extra"] = by_hand("<", tags(array, 2, [8] * 4), four.tobytes())
    files["rgba_multiplied"] = by_hand("<", tags(array, 2, [8] * 4, t338=("H", [1])), multiplied.tobytes())
    files["cmyk16"] = by_hand(
        "<", tags(array, 5, [16] * 4), deep(np.asarray(rgb.convert("CMYK"))).astype("<u2").tobytes()
    )
    return files
