"""Writes images.safetensors: small encoded images of every kind that is read, and the pixels that Pillow reads from them.

Run: python3 -m venv V && V/bin/pip install pillow numpy safetensors && V/bin/python images.py

For each image: NAME.file has the encoded bytes, NAME.rgb the pixels of ImageOps.exif_transpose(image).convert("RGB"), HWC.
"""

import io
import pathlib

import numpy as np
import PIL
from PIL import Image, ImageOps
from safetensors.numpy import save_file

W, H = 37, 26


def picture():
    """A smooth scene with an edge and no symmetry, so that a wrong orientation shows."""
    y, x = np.mgrid[0:H, 0:W]
    red = 40 + 5 * x
    green = 230 - 7 * y
    blue = 128 + 100 * np.sin(x / 5.0) * np.cos(y / 6.0)
    blue = np.where((x > 20) & (y < 9), 15, blue)
    return np.stack([red, green, blue], axis=2).clip(0, 255).astype(np.uint8)


def encode(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def main():
    rgb = Image.fromarray(picture())
    grey = rgb.convert("L")
    alpha = Image.fromarray((np.mgrid[0:H, 0:W][1] * 6).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    palette = rgb.quantize(40)
    la = Image.merge("LA", (grey, alpha))
    files = {
        "jpeg_420": encode(rgb, "JPEG", quality=90),
        "jpeg_444": encode(rgb, "JPEG", quality=90, subsampling=0),
        "jpeg_422": encode(rgb, "JPEG", quality=90, subsampling=1),
        "jpeg_progressive": encode(rgb, "JPEG", quality=85, progressive=True),
        "jpeg_grey": encode(grey, "JPEG", quality=90),
        "jpeg_cmyk": encode(rgb.convert("CMYK"), "JPEG", quality=92),
        "png_rgb": encode(rgb, "PNG"),
        "png_rgba": encode(rgba, "PNG"),
        "png_grey": encode(grey, "PNG"),
        "png_grey_alpha": encode(la, "PNG"),
        "png_palette": encode(palette, "PNG"),
        "png_palette_transparent": encode(palette, "PNG", transparency=3),
        "png_palette_4bit": encode(rgb.quantize(13), "PNG"),
        "png_1bit": encode(rgb.convert("1"), "PNG"),
        "webp_lossless": encode(rgb, "WEBP", lossless=True),
        "webp_lossy": encode(rgb, "WEBP", quality=90),
        "webp_alpha": encode(rgba, "WEBP", lossless=True, exact=True),
        "webp_animated": encode(
            rgb, "WEBP", lossless=True, save_all=True, append_images=[rgb.rotate(180)], duration=50
        ),
        "bmp_24": encode(rgb, "BMP"),
        "bmp_8": encode(palette, "BMP"),
        "bmp_grey": encode(grey, "BMP"),
        "bmp_1": encode(rgb.convert("1"), "BMP"),
        "bmp_32": encode(rgba, "BMP"),
        "gif": encode(palette, "GIF"),
        "gif_transparent": encode(palette, "GIF", transparency=5),
        "gif_animated": encode(palette, "GIF", save_all=True, append_images=[palette.rotate(180)], duration=50),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"jpeg_orientation_{orientation}"] = encode(rgb, "JPEG", quality=95, subsampling=0, exif=exif)
    exif[0x0112] = 6
    files["png_orientation_6"] = encode(rgb, "PNG", exif=exif)
    files["webp_orientation_6"] = encode(rgb, "WEBP", lossless=True, exif=exif)

    out = {}
    for name, data in files.items():
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        out[f"{name}.file"] = np.frombuffer(data, np.uint8)
        out[f"{name}.rgb"] = np.ascontiguousarray(np.asarray(image))
    path = pathlib.Path(__file__).with_name("images.safetensors")
    save_file(out, path, metadata={"pillow": PIL.__version__})
    print(path, path.stat().st_size, "bytes,", len(files), "images")


if __name__ == "__main__":
    main()
