"""What an actor does: images in, a table out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gpu_resnet import Classifier
from gpu_resnet.ray._adapters import Adapters, claim


class Worker:
    """A network on an adapter of the actor's node. `task` is `classify` or `features`."""

    def __init__(self, task: str, options: dict[str, Any], adapters: Adapters, registry: Any, top_k: int) -> None:
        self._classifier = Classifier(adapter=claim(registry, adapters), **options)
        self._task, self._top_k = task, top_k
        if task == "classify" and not self._classifier.has_head:
            # Said once by the first row, and not by each.
            self._classifier.logits([])

    @property
    def metadata(self) -> dict[str, str]:
        """What the metadata of a file of these features says."""
        return self._classifier.features_metadata if self._task == "features" else {}

    def columns(self, images: Sequence[Any]) -> dict[str, pa.Array]:
        """The columns of the task for `images` (paths, URLs, bytes, arrays): `features`, or `index`, `label` and `probability`;
        and `error`, the sentence about an image that can't be read, whose other columns are null."""
        fetched = [fetch(image) for image in images]
        good = [i for i, image in enumerate(fetched) if not isinstance(image, Exception)]
        found = self._classifier.outputs([fetched[i] for i in good])
        errors: list[str | None] = [str(image) if isinstance(image, Exception) else None for image in fetched]
        rows = np.full(len(errors), -1)
        for row, i in enumerate(good):
            if row in found.errors:
                errors[i] = renamed(found.errors[row], row, images[i], i)
            else:
                rows[i] = row
        if self._task == "features":
            columns = {"features": lists(found.features, rows, pa.float32())}
        else:
            columns = self._predictions(found.logits, rows)
        return columns | {"error": pa.array(errors, pa.string())}

    def _predictions(self, logits: Any, rows: np.ndarray) -> dict[str, pa.Array]:
        index, probability = self._classifier.top(np.nan_to_num(logits), self._top_k)
        names = pa.array(self._classifier.labels, pa.string())
        label = names.take(pa.array(index.ravel()))
        return {
            "index": lists(index, rows, pa.int32()),
            "label": lists(label, rows, pa.string(), index.shape[1]),
            "probability": lists(probability, rows, pa.float64()),
        }


def lists(values: Any, rows: np.ndarray, kind: pa.DataType, width: int | None = None) -> pa.Array:
    """The row `rows[i]` of `values` as list i; null where that is below 0."""
    width = values.shape[1] if width is None else width
    flat = values if isinstance(values, pa.Array) else pa.array(np.ascontiguousarray(values).ravel(), kind)
    kept = rows[rows >= 0]
    if not np.array_equal(kept * width, np.arange(len(kept)) * width) or len(kept) * width != len(flat):
        flat = flat.take(pa.array((kept[:, None] * width + np.arange(width)).ravel()))
    ends = np.cumsum(rows >= 0, dtype=np.int64) * width
    offsets = pa.array(np.concatenate([[0], ends]), pa.int64())
    missing = pa.array(rows < 0)
    return pa.LargeListArray.from_arrays(offsets, flat, mask=missing).cast(pa.list_(kind))


def fetch(image: Any) -> Any:
    """An image as a `Classifier` takes it: what a URL names is read. What goes wrong is given back as an exception."""
    if not (isinstance(image, str) and "://" in image):
        return image
    import fsspec

    try:
        with fsspec.open(image, "rb") as file:
            return file.read()
    except Exception as error:
        # Every kind of storage has its own; none may take the other images with it.
        return OSError(f"{image}: could not be read: {error}")


def renamed(sentence: str, row: int, image: Any, i: int) -> str:
    """The sentence about what was image `row`, by its own name."""
    name = image if isinstance(image, str) else f"image {i}"
    prefix = f"image {row}: "
    return f"{name}: {sentence.removeprefix(prefix)}" if sentence.startswith(prefix) else sentence
