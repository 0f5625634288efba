"""TIFFs of every kind that is read."""
import io

import numpy as np
from PIL import Image, TiffImagePlugin
from scene import alpha, encode, picture


def deep(image):
    """16 bits of a grey picture, whose high bytes are the picture."""
    return image.astype(np.uint16) * 256 + 77


def by_hand(order, tags, data):
    """A TIFF of one strip, with whatever tags."""
    import struct

    types = {"B": 1, "H": 3, "L": 4}
    tags = {**tags, 273: ("L", [0]), 279: ("L", [len(data)])}
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8)
    extra_at = 8 + 2 + 12 * len(tags) + 4
    total_extra = sum((len(v) * struct.calcsize(order + t) + 1) & ~1 for t, v in tags.values() if len(v) * struct.calcsize(order + t) > 4)
    tags[273] = ("L", [extra_at + total_extra])
    entries, extra = b"", b""
    for tag in sorted(tags):
        kind, values = tags[tag]
        packed = struct.pack(order + kind * len(values), *values)
        if len(packed) > 4:
            place = struct.pack(order + "L", extra_at + len(extra))
            extra += packed + b"\0" * (len(packed) & 1)
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack(order + "HHL", tag, types[kind], len(values)) + place
    return head + struct.pack(order + "H", len(tags)) + entries + bytes(4) + extra + data


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
    planes = np.ascontiguousarray(array.transpose(2, 0, 1))
    size = planes[0].size
    planar = tags(array, 2, [8] * 3, t284=("H", [2]))
    data = by_hand("<", {**planar, 279: ("L", [size] * 3)}, planes.tobytes())
    files["rgb_planar"] = planar_strips(data, size)
    four = np.dstack([array, np.asarray(opacity)])
    multiplied = np.dstack([array * (np.asarray(opacity)[..., None] / 255.0), np.asarray(opacity)]).astype(np.uint8)
    files["rgbx"] = by_hand("<", tags(array, 2, [8] * 4, t338=("H", [0])), four.tobytes())
    files["rgba_no_extra"] = by_hand("<", tags(array, 2, [8] * 4), four.tobytes())
    files["rgba_multiplied"] = by_hand("<", tags(array, 2, [8] * 4, t338=("H", [1])), multiplied.tobytes())
    files["cmyk16"] = by_hand(
        "<", tags(array, 5, [16] * 4), deep(np.asarray(rgb.convert("CMYK"))).astype("<u2").tobytes()
    )
    return files


def planar_strips(data, size):
    """Gives each of three planes a strip of its own in a file that was written with one."""
    import struct

    count = struct.unpack("<H", data[8:10])[0]
    out = bytearray(data)
    start = len(data) - 3 * size
    for i in range(count):
        at = 10 + 12 * i
        tag = struct.unpack("<H", data[at : at + 2])[0]
        if tag in (273, 279):
            values = [start + c * size for c in range(3)] if tag == 273 else [size] * 3
            out[at + 4 : at + 12] = struct.pack("<LL", 3, len(out))
            out += struct.pack("<3L", *values)
    return bytes(out)
