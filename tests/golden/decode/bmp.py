"""BMPs of 16 bits, and DIBs: BMPs without their file header."""
import struct

import numpy as np
from scene import encode, picture


def deep(image, masks, bits=16):
    """A BMP whose samples are under masks."""
    array = np.asarray(image).astype(np.uint32)
    values = np.zeros(array.shape[:2], np.uint32)
    for channel, mask in enumerate(masks):
        low = (mask & -mask).bit_length() - 1
        values |= (array[..., channel] >> (8 - (mask >> low).bit_length())) << low
    width = -(-image.width * bits // 32) * 32 // bits
    rows = np.zeros((image.height, width), np.uint32)
    rows[:, : image.width] = values
    data = rows[::-1].astype(f"<u{bits // 8}").tobytes()
    header = struct.pack("<IiiHHIIiiII", 40, *image.size, 1, bits, 3, len(data), 0, 0, 0, 0) + struct.pack("<III", *masks)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(data), 0, 0, 14 + len(header)) + header + data


def os2(bmp):
    """A BMP with OS/2's second header, which is longer."""
    offset, = struct.unpack_from("<I", bmp, 10)
    return bmp[:10] + struct.pack("<II", offset + 24, 64) + bmp[18:54] + bytes(range(24)) + bmp[54:]


def images():
    image = picture(31, 17)
    fields = deep(image, (0xFF0000, 0xFF00, 0xFF), 32)
    few = image.quantize(10)
    return {
        "rgb_565": deep(image, (0xF800, 0x7E0, 0x1F)),
        "rgb_555": deep(image, (0x7C00, 0x3E0, 0x1F)),
        "dib": encode(image, "DIB"),
        "dib_grey": encode(image.convert("L"), "DIB"),
        "dib_palette": encode(few, "DIB"),
        "dib_bits": encode(image.convert("1"), "DIB"),
        "dib_fields": fields[14:],
        "fields": fields,
        "os2": os2(encode(image, "BMP")),
        "os2_palette": os2(encode(few, "BMP")),
        "dib_os2": os2(encode(image, "BMP"))[14:],
    }
