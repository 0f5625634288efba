"""PBM, PGM and PPM of every kind."""
import numpy as np
from scene import encode, picture


def plain(values, kind, maximum=None):
    height, width = values.shape[:2]
    lines = [f"{kind}", "# a comment", f"{width} {height}"]
    if maximum:
        lines.append(str(maximum))
    rows = [" ".join(str(v) for v in row.flatten()) for row in values]
    rows[1] += " # another"
    return ("\n".join(lines + rows) + "\n").encode()


def raw(values, kind, maximum):
    height, width = values.shape[:2]
    data = values.astype(">u2" if maximum > 255 else np.uint8).tobytes()
    return b"%s\n%d %d\n%d\n" % (kind.encode(), width, height, maximum) + data


def images():
    image = picture(17, 9)
    rgb, grey = np.asarray(image), np.asarray(image.convert("L"))
    bits = (grey > 120).astype(int)
    files = {
        "ppm": encode(image, "PPM"),
        "pgm": encode(image.convert("L"), "PPM"),
        "pbm": encode(image.convert("1"), "PPM"),
        "pbm_plain": plain(bits, "P1"),
        "pbm_plain_joined": b"P1 17 9 " + "".join(str(v) for v in bits.flatten()).encode(),
        "pgm_plain": plain(grey, "P2", 255),
        "ppm_plain": plain(rgb, "P3", 255),
    }
    for name, header in (("between", b"P6 17 # a\n9\n255\n"), ("inside", b"P6\n1#a comment\n7 9\n2#\r5#b\n5 ")):
        files[f"ppm_comment_{name}"] = header + rgb.tobytes()
    files["ppm_plain_comment_inside"] = plain(rgb, "P3", 255).replace(b"\n17 9", b"\n1#x\n7 9")
    for maximum in (1, 3, 15, 100, 200, 254, 1023, 65535):
        scaled = np.round(rgb / 255.0 * maximum).astype(int)
        files[f"ppm_{maximum}"] = raw(scaled, "P6", maximum)
        files[f"ppm_plain_{maximum}"] = plain(scaled, "P3", maximum)
        if maximum < 256:
            files[f"pgm_{maximum}"] = raw(np.round(grey / 255.0 * maximum).astype(int), "P5", maximum)
    return files
