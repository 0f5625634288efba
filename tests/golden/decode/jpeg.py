"""JPEGs of every sampling, order of scans, and declaration of colours."""
import io
import struct
import subprocess
import tempfile

from scene import encode, picture

SAMPLINGS = {
    "444": "1x1,1x1,1x1",
    "422": "2x1,1x1,1x1",
    "440": "1x2,1x1,1x1",
    "420": "2x2,1x1,1x1",
    "411": "4x1,1x1,1x1",
    "410": "4x2,1x1,1x1",
    "441": "1x4,1x1,1x1",
    "thirds": "3x1,1x1,1x1",
    "thirds_both": "3x2,1x1,1x1",
    "wide_luma_and_blue": "2x1,2x1,1x1",
    "tall_luma_and_blue": "2x2,2x2,1x1",
    "crossed": "2x2,1x2,2x1",
    "fine_blue": "1x1,2x2,1x1",
    "none_is_one": "2x2,1x2,1x2",
}
SCANS = {"one_each": "0;1;2;", "luma_apart": "0;1,2;", "red_apart": "0,1;2;", "backwards": "2;1;0;"}
# DC of each component apart, with bits of it to come.
DC_APART = "0: 0-0, 0, 1;\n2: 0-0, 0, 0;\n1: 0-0, 0, 0;\n0: 1-63, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;\n0: 0-0, 1, 0;\n"


def cjpeg(image, *options, scans=None):
    source = io.BytesIO()
    image.save(source, "PPM")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        if scans:
            script.write(scans)
            script.flush()
            options = (*options, "-scans", script.name)
        command = ["cjpeg", "-quality", "90", *options]
        return subprocess.run(command, input=source.getvalue(), capture_output=True, check=True).stdout


def cropped(factors, size):
    """Cut out without decoding: real picture goes on outside of the edges."""
    whole = cjpeg(picture(64, 48), "-sample", factors)
    return subprocess.run(["jpegtran", "-crop", f"{size}+0+0"], input=whole, capture_output=True, check=True).stdout


def without(data, marker, name):
    """Takes the segment of `marker` that begins with `name` away."""
    at = data.index(b"\xff" + bytes([marker]), 0)
    assert data[at + 4 : at + 4 + len(name)] == name
    return data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]


def adobe(transform):
    return b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])


def images():
    image, large = picture(), picture(48, 37)
    files = {}
    for name, factors in SAMPLINGS.items():
        files[f"{name}"] = cjpeg(image, "-sample", factors)
        files[f"{name}_one_each"] = cjpeg(image, "-sample", factors, scans=SCANS["one_each"])
    for name in ("420", "422", "410", "crossed"):
        for order in ("luma_apart", "red_apart", "backwards"):
            files[f"{name}_{order}"] = cjpeg(image, "-sample", SAMPLINGS[name], scans=SCANS[order])
    for name in ("420", "444", "thirds_both", "crossed"):
        factors = SAMPLINGS[name]
        files[f"{name}_progressive"] = cjpeg(image, "-sample", factors, "-progressive")
        files[f"{name}_dc_apart"] = cjpeg(image, "-sample", factors, scans=DC_APART)
        files[f"{name}_restart"] = cjpeg(image, "-sample", factors, "-restart", "1B")
        files[f"{name}_one_each_restart"] = cjpeg(image, "-sample", factors, "-restart", "2B", scans=SCANS["one_each"])
    files["420_progressive_restart"] = cjpeg(large, "-sample", "2x2", "-progressive", "-restart", "1")
    files["420_large"] = cjpeg(large, "-sample", "2x2")
    files["420_large_one_each"] = cjpeg(large, "-sample", "2x2", scans=SCANS["one_each"])
    for factors in ("2x1", "1x2", "2x2"):
        files[f"{factors}_cropped"] = cropped(factors, "33x24")
        files[f"{factors}_cropped_aligned"] = cropped(factors, "48x32")
    for factors in ("1x1", "2x1", "2x2"):
        files[f"grey_{factors}"] = cjpeg(image, "-grayscale", "-sample", factors)
    files["grey_progressive"] = cjpeg(image, "-grayscale", "-progressive", "-restart", "1")

    # Three components: JFIF goes before Adobe's marker, and that before the components' names.
    rgb = cjpeg(image, "-rgb")
    files["rgb_adobe_0"] = rgb
    files["rgb_adobe_0_one_each"] = cjpeg(image, "-rgb", scans=SCANS["one_each"])
    files["rgb_by_names"] = without(rgb, 0xEE, b"Adobe")
    for name in ("444", "420"):
        data = files[name]
        for transform in (0, 1, 2):
            files[f"{name}_jfif_and_adobe_{transform}"] = data[:20] + adobe(transform) + data[20:]
        bare = without(data, 0xE0, b"JFIF")
        files[f"{name}_bare"] = bare
        files[f"{name}_adobe_0"] = bare[:2] + adobe(0) + bare[2:]
        files[f"{name}_adobe_1"] = bare[:2] + adobe(1) + bare[2:]

    # Names R, G, B mean nothing beside JFIF.
    for name in ("444", "420", "444_progressive"):
        data = files[name]
        for marker in (b"\xff\xc0", b"\xff\xc2"):
            if marker in data:
                at = data.index(marker) + 10
                renamed = bytearray(data)
                for channel, letter in enumerate(b"RGB"):
                    renamed[at + 3 * channel] = letter
        at = renamed.index(b"\xff\xda")
        while at >= 0:
            for part in range(renamed[at + 4]):
                renamed[at + 5 + 2 * part] = b"RGB"[renamed[at + 5 + 2 * part] - 1]
            at = renamed.find(b"\xff\xda", at + 2)
        files[f"{name}_named_rgb_jfif"] = bytes(renamed)

    # Four components.
    cmyk = encode(image.convert("CMYK"), "JPEG", quality=90)
    files["cmyk_adobe_0"] = cmyk
    files["cmyk_bare"] = without(cmyk, 0xEE, b"Adobe")
    files["cmyk_adobe_2"] = files["cmyk_bare"][:2] + adobe(2) + files["cmyk_bare"][2:]
    files["cmyk_adobe_1"] = files["cmyk_bare"][:2] + adobe(1) + files["cmyk_bare"][2:]
    files["cmyk_420"] = encode(image.convert("CMYK"), "JPEG", quality=90, subsampling="4:2:0")
    files["cmyk_progressive"] = encode(image.convert("CMYK"), "JPEG", quality=90, progressive=True)
    return files
