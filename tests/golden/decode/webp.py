"""WebPs that promise chunks which are not there, and animations."""
import struct

from metadata import SMALL
from scene import alpha, encode, picture


def extended(flags, inner):
    width, height = SMALL
    header = b"VP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0, width - 1, 0, 0, height - 1, 0, 0])
    return b"RIFF" + struct.pack("<I", 4 + len(header) + len(inner)) + b"WEBP" + header + inner


def images():
    image = picture(*SMALL)
    lossless, lossy = (encode(image, "WEBP", lossless=exact, quality=95)[12:] for exact in (True, False))
    rgba = image.copy()
    rgba.putalpha(alpha(*SMALL))
    with_alpha = encode(rgba, "WEBP", quality=95)[12:]
    files = {}
    for flag, name in ((0x20, "icc"), (0x10, "alpha"), (0x08, "exif"), (0x04, "xmp"), (0x3C, "all")):
        files[f"promises_{name}_lossless"] = extended(flag, lossless)
        files[f"promises_{name}_lossy"] = extended(flag, lossy)
    files["alpha"] = b"RIFF" + struct.pack("<I", len(with_alpha) + 4) + b"WEBP" + with_alpha
    second = image.rotate(180)
    files["animated"] = encode(image, "WEBP", save_all=True, append_images=[second], duration=40, lossless=True)
    files["animated_background"] = encode(
        rgba, "WEBP", save_all=True, append_images=[second.convert("RGBA")], duration=40, lossless=True, background=(9, 80, 200, 255)
    )
    # Transparent pixels of many colours, in a first frame that asks to be blended.
    clear = picture(*SMALL)
    clear.putalpha(alpha(*SMALL).point(lambda v: 0 if v < 90 else v))
    options = {"save_all": True, "append_images": [second.convert("RGBA")], "duration": 40, "lossless": True, "exact": True}
    data = encode(clear, "WEBP", **options)
    at = data.index(b"ANMF") + 8 + 15
    files["animated_blended"] = data[:at] + bytes([data[at] & ~2]) + data[at + 1 :]
    files["animated_replaced"] = data[:at] + bytes([data[at] | 2]) + data[at + 1 :]
    # The header of the animation's first frame says where it lies: two pixels to the right, four down.
    data = files["animated_background"]
    width, height = SMALL[0] + 5, SMALL[1] + 7
    at = data.index(b"VP8X") + 12
    data = data[:at] + bytes([width - 1, 0, 0, height - 1, 0, 0]) + data[at + 6 :]
    at = data.index(b"ANMF") + 8
    files["animated_inside"] = data[:at] + bytes([1, 0, 0, 2, 0, 0]) + data[at + 6 :]
    return files
