"""Orientations as EXIF and XMP of JPEG, PNG, WebP and TIFF say them."""
import io
import struct
import zlib

from PIL import Image
from scene import encode, picture

MARK = b"Exif\0\0"
SMALL = (13, 8)


def tiff(orientation, kind=3, order="<", count=1):
    """A TIFF structure of one entry, of any type of number."""
    formats = {1: "B", 2: "B", 3: "H", 4: "L", 5: "LL", 6: "b", 7: "B", 8: "h", 9: "l", 10: "ll", 11: "f", 12: "d", 13: "L", 16: "Q"}
    values = [orientation, 1] if kind in (5, 10) else [orientation] * count
    value = struct.pack(order + formats[kind] * (1 if kind in (5, 10) else count), *values)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "LHHHL", 8, 1, 0x112, kind, count)
    if len(value) > 4:
        return head + struct.pack(order + "LL", 26, 0) + value
    return head + value.ljust(4, b"\0") + bytes(4)


def xmp(orientation, element=False):
    inner = '><tiff:Orientation>%d</tiff:Orientation></rdf:Description>' if element else ' tiff:Orientation="%d"/>'
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        ' rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"' + inner % orientation + "</rdf:RDF></x:xmpmeta>"
    ).encode()


def jpeg(*segments, late=False):
    plain = encode(picture(*SMALL), "JPEG", quality=90, subsampling=0)
    added = b"".join(b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments)
    at = len(plain) - 2 if late else 20
    return plain[:at] + added + plain[at:]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks, late=False):
    plain = encode(picture(*SMALL), "PNG")
    at = plain.index(b"IEND" if late else b"IDAT") - 4
    return plain[:at] + b"".join(chunk(kind, data) for kind, data in chunks) + plain[at:]


def raw_profile(data):
    return b"Raw profile type exif\0\nexif\n%8d\n%s\n" % (len(data), data.hex().encode())


def itxt(text, compress=False, key=b"XML:com.adobe.xmp"):
    return key + (b"\0\1\0\0\0" + zlib.compress(text) if compress else b"\0\0\0\0\0" + text)


def webp(flags, *chunks):
    def piece(kind, data):
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)

    width, height = SMALL
    body = piece(b"VP8X", bytes([flags, 0, 0, 0, width - 1, 0, 0, height - 1, 0, 0]))
    body += encode(picture(*SMALL), "WEBP", lossless=True)[12:]
    body += b"".join(piece(kind, data) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def apng():
    """Two frames; the second one is followed by an orientation, which the first one doesn't have."""
    frames = [picture(*SMALL), picture(*SMALL).rotate(180)]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50)
    at = data.index(b"IEND") - 4
    return data[:at] + chunk(b"eXIf", tiff(6)) + data[at:]


def images():
    files = {}
    for orientation in (0, *range(2, 9), 9):
        files[f"jpeg_{orientation}"] = jpeg(MARK + tiff(orientation, order=">"))
    for kind in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16):
        files[f"jpeg_type_{kind}"] = jpeg(MARK + tiff(6, kind))
    files["jpeg_two_values"] = jpeg(MARK + tiff(6, count=2))
    files["jpeg_three_values"] = jpeg(MARK + tiff(6, count=3))
    whole = MARK + tiff(6, 5)
    files["jpeg_in_two_segments"] = jpeg(whole[:-6], MARK + whole[-6:])
    files["jpeg_second_is_more"] = jpeg(MARK + tiff(6), MARK + bytes(4))
    files["jpeg_two_marks"] = jpeg(MARK + MARK + tiff(6))
    files["jpeg_behind_the_scan"] = jpeg(MARK + tiff(6), late=True)
    head = b"http://ns.adobe.com/xap/1.0/\0"
    files["jpeg_xmp"] = jpeg(head + xmp(8))
    files["jpeg_xmp_element"] = jpeg(head + xmp(8, element=True))
    files["jpeg_xmp_twice"] = jpeg(head + xmp(8), head + xmp(3))
    files["jpeg_xmp_and_exif"] = jpeg(MARK + tiff(6), head + xmp(8))
    files["jpeg_xmp_and_exif_0"] = jpeg(MARK + tiff(0), head + xmp(8))
    files["jpeg_xmp_and_exif_bytes"] = jpeg(MARK + tiff(6, 1), head + xmp(8))
    files["jpeg_xmp_and_other_exif"] = jpeg(MARK + tiff(6).replace(b"\x12\x01", b"\x31\x01"), head + xmp(8))

    files["png_exif"] = png((b"eXIf", tiff(6)))
    files["png_exif_mark"] = png((b"eXIf", MARK + tiff(6)))
    files["png_exif_late"] = png((b"eXIf", tiff(3)), late=True)
    files["png_exif_twice"] = png((b"eXIf", tiff(3)), (b"eXIf", tiff(6)))
    files["png_raw_profile"] = png((b"tEXt", raw_profile(MARK + tiff(6))))
    key, text = raw_profile(tiff(8)).split(b"\0", 1)
    files["png_raw_profile_compressed"] = png((b"zTXt", key + b"\0\0" + zlib.compress(text)), late=True)
    files["png_raw_profile_and_exif"] = png((b"eXIf", tiff(3)), (b"tEXt", raw_profile(MARK + tiff(6))))
    files["png_xmp"] = png((b"iTXt", itxt(xmp(8))))
    files["png_xmp_element_compressed"] = png((b"iTXt", itxt(xmp(7, element=True), compress=True)))
    files["png_xmp_late"] = png((b"iTXt", itxt(xmp(5))), late=True)
    files["png_xmp_and_exif"] = png((b"iTXt", itxt(xmp(5))), (b"eXIf", tiff(6)))
    files["png_other_text"] = png((b"iTXt", itxt(xmp(5), key=b"Comment")))
    files["png_animated"] = apng()

    files["webp_exif"] = webp(8, (b"EXIF", tiff(6)))
    files["webp_exif_mark"] = webp(8, (b"EXIF", MARK + tiff(6)))
    files["webp_exif_not_promised"] = webp(0, (b"EXIF", tiff(6)))
    files["webp_exif_twice"] = webp(8, (b"EXIF", tiff(3)), (b"EXIF", tiff(6)))
    files["webp_xmp"] = webp(4, (b"XMP ", xmp(8)))
    files["webp_xmp_and_exif"] = webp(12, (b"EXIF", tiff(6)), (b"XMP ", xmp(8)))
    files["webp_xmp_not_promised"] = webp(0, (b"XMP ", xmp(8)))

    for orientation in range(1, 9):
        files[f"tiff_{orientation}"] = encode(picture(*SMALL), "TIFF", tiffinfo={0x112: orientation})
    files["tiff_xmp"] = encode(picture(*SMALL), "TIFF", tiffinfo={700: xmp(8)})
    files["tiff_lzw_6"] = encode(picture(*SMALL), "TIFF", compression="tiff_lzw", tiffinfo={0x112: 6})
    return files
