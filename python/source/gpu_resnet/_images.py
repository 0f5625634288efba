"""Images as the native half takes them: arrays that are contiguous, `bytes`, and paths."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from .errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    Image = Union[str, os.PathLike[str], bytes, np.ndarray, PilImage]
    Images = Union[Image, Iterable[Image]]

# Images that are taken from an iterable at once: what of them is decoded already is held in memory.
CHUNK = 1024


def chunks(images: Any) -> Iterator[Any]:
    """Parts of `images`: an array `[N, H, W, 3]`, or lists of single images."""
    if _is_one(images):
        yield [_one(images)]
    elif isinstance(images, np.ndarray):
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise UsageError(f"images of {images.dtype} {list(images.shape)}; an array of images is uint8 [N, H, W, 3]")
        yield np.ascontiguousarray(images)
    else:
        rest = iter(images)
        while part := [_one(image) for image in islice(rest, CHUNK)]:
            yield part


def _is_one(images: Any) -> bool:
    is_array = isinstance(images, np.ndarray) and images.ndim == 3
    return is_array or isinstance(images, (str, bytes, os.PathLike)) or _is_pil(images)


def _is_pil(image: Any) -> bool:
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(image, pil.Image)


def _one(image: Any) -> Any:
    """One image: a path, `bytes`, or uint8 `[H, W, 3]`."""
    if isinstance(image, (str, bytes, os.PathLike)):
        return image
    if isinstance(image, (bytearray, memoryview)):
        return bytes(image)
    if _is_pil(image):
        # As it stands, as torchvision's transforms take it: a turn that EXIF asks for is the caller's.
        return np.ascontiguousarray(image.convert("RGB"))
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UsageError(f"an image of {image.dtype} {list(image.shape)}; an image's array is uint8 [H, W, 3]")
        return np.ascontiguousarray(image)
    raise UsageError(f"an image of type {type(image).__name__}; give a path, bytes, a PIL image or uint8 [H, W, 3]")
