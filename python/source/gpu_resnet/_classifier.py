"""A network that classifies images."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _native
from ._images import chunks
from ._machine import machine, said, source
from ._predictions import Predictions
from .errors import FileError, UsageError

if TYPE_CHECKING:
    from ._images import Images


class Outputs(NamedTuple):
    """What came out for images, bad ones among them."""

    #: float32 [N, outputs]; None where the network has no head.
    logits: NDArray[np.float32] | None
    #: float32 [N, feature_count].
    features: NDArray[np.float32]
    #: For the number of each image that could not be read, the sentence that says why; its rows are NaN.
    errors: dict[int, str]


class Classifier:
    """A network on an adapter.

    >>> classifier = Classifier()                           # the built-in network, on the best adapter
    >>> classifier.classify("photo.jpg")[0][0].label        # doctest: +SKIP
    'safe'

    `weights` is what the program's `--weights` takes: a .safetensors or .pth file, a run's or a hub's folder, or a name of
    `gpu-resnet weights list`; None is the built-in network. `adapter` is a number of `devices()` or a part of a name; None is
    the best. `precision` is "f32" or "f16". `labels` are class names in place of the file's, `image_size` scales and crops to
    another side, `batch_size` images are run at once. `overrides` says what the file of the weights does not tell (`architecture`,
    `set`, `mean`, `std`, `resize`, `crop`, `interpolation`, `weights_key`, as the program's options of these names).

    Methods let other threads run while they work, and may be called from several, which take turns. Bits do not depend on the
    thread. A `Classifier` does not survive a fork; a pickled one is opened again where it is unpickled.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | None = None,
        adapter: int | str | None = None,
        precision: str = "f32",
        *,
        labels: Sequence[str] | None = None,
        image_size: int | None = None,
        batch_size: int = 32,
        backend: str | None = None,
        offline: bool = False,
        tuned: bool = True,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        if not 1 <= batch_size <= 65_536:
            raise UsageError(f"batch_size={batch_size}; a batch has 1 to 65536 images")
        self._options: dict[str, Any] = {
            "source": source(weights, image_size, overrides),
            "machine": machine(adapter, precision, backend, offline, tuned),
            "labels": None if labels is None else list(labels),
            "batch_size": batch_size,
        }
        self._native = _native.Classifier(json.dumps(self._options), said)

    def __reduce__(self):
        return _reopen, (self._options,)

    def __repr__(self) -> str:
        weights = self._options["source"]["weights"] or "built in"
        return f"<Classifier {weights}: {len(self.labels)} classes, on {self.adapter['name']}>"

    @property
    def labels(self) -> list[str]:
        """The class names, in the order of the logits; their numbers where the network has no names."""
        return self._native.labels

    @property
    def architecture(self) -> dict[str, Any]:
        """What the network is made of, with the keys of `gpu_resnet.architecture`."""
        return json.loads(self._native.architecture)

    @property
    def adapter(self) -> dict[str, Any]:
        """What it runs on: `name`, `driver`, limits and features."""
        return json.loads(self._native.adapter)

    @property
    def has_head(self) -> bool:
        """Whether it makes predictions; without a head it has features alone."""
        return self._native.has_head

    @property
    def feature_count(self) -> int:
        """Values of an image's features."""
        return self._native.feature_count

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the weights' file, in hexadecimal."""
        return self._native.weights_sha256

    @property
    def preprocess(self) -> dict[str, Any]:
        """How images are prepared: `resize`, `crop`, `interpolation`, `mean`, `std`."""
        return json.loads(self._native.preprocess)

    @property
    def features_metadata(self) -> dict[str, str]:
        """What the metadata of a Parquet file of this network's features says, so that `finetune(features=…)` knows them."""
        return {
            "gpu_resnet.weights_sha256": self.weights_sha256,
            "gpu_resnet.preprocess": self._native.preprocess,
            "gpu_resnet.precision": self._options["machine"]["precision"],
        }

    @property
    def image_size(self) -> int:
        """The side, in pixels, of what the network sees of an image."""
        return self._native.crop

    def classify(
        self, images: Images | None = None, top_k: int = 5, *, tensor: NDArray[np.float32] | None = None
    ) -> Predictions:
        """The `top_k` most likely classes of each image.

        `images` is one image or an iterable of them: paths, encoded `bytes`, PIL images, uint8 arrays `[H, W, 3]`; or one
        uint8 array `[N, H, W, 3]`. They are decoded and prepared as the network wants them, on all cores. `tensor`, instead,
        is float32 `[N, 3, H, W]` that is prepared already.

        Raises `FileError` for the first image that can't be read.
        """
        if top_k < 1:
            raise UsageError(f"top_k={top_k}; give 1 or more")
        names: list[str] = []
        logits = self._rows(images, tensor, True, names)
        index, probability = self.top(logits, top_k)
        return Predictions(names, self.labels, index, probability)

    def logits(self, images: Images | None = None, *, tensor: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """The logits of each image, float32 [N, outputs]. Arguments and errors are those of `classify`."""
        return self._rows(images, tensor, True)

    def features(
        self, images: Images | None = None, *, tensor: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """The input of the classifier for each image, float32 [N, feature_count]; a network without a head will do."""
        return self._rows(images, tensor, False)

    def top(self, logits: NDArray[np.float32], top_k: int = 5) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The most likely classes of each row of logits, likeliest first: their numbers [N, k] and probabilities [N, k]."""
        return self._native.top(np.ascontiguousarray(logits, np.float32), top_k)

    def outputs(self, images: Images) -> Outputs:
        """Logits and features of each image in one pass. An image that can't be read raises nothing: its rows are NaN, and
        `errors` says why."""
        parts = [self._native.run(part, self.has_head, True) for part in chunks(images)]
        errors: dict[int, str] = {}
        first = 0
        for _, features, failed in parts:
            errors.update((first + i, _numbered(sentence, i, first)) for i, sentence in failed)
            first += len(features)
        logits = _joined([part[0] for part in parts], self._native.outputs) if self.has_head else None
        return Outputs(logits, _joined([part[1] for part in parts], self.feature_count), errors)

    def evaluate(self, data: str | os.PathLike[str]) -> dict[str, Any]:
        """How often the network is right on labelled images: everything that DATA of `gpu-resnet evaluate` may be.

        Gives `count`, `loss`, `top1`, `top5` and `per_class`, accuracies as fractions. Classes are matched by name. Images
        that can't be read are reported by `logging` and left out.
        """
        return json.loads(self._native.evaluate(os.fspath(data)))

    def _rows(
        self, images: Any, tensor: NDArray[np.float32] | None, logits: bool, names: list[str] | None = None
    ) -> NDArray[np.float32]:
        """Logits or features, all of them; `names` is filled with what images are called."""
        if (images is None) == (tensor is None):
            raise UsageError("give either images or tensor=")
        if logits and not self.has_head:
            raise UsageError(
                "the network has no head, so it makes no predictions; its features can be had, and a head trained on them"
            )
        width = self._native.outputs if logits else self.feature_count
        if tensor is not None:
            values = np.ascontiguousarray(tensor)
            if values.dtype != np.float32 or values.ndim != 4 or values.shape[1] != 3:
                raise UsageError(f"tensor= of {values.dtype} {list(values.shape)}; it is float32 [N, 3, H, W]")
            if names is not None:
                names += [f"image {i}" for i in range(len(values))]
            if len(values) == 0:
                return np.empty((0, width), np.float32)
            rows = self._native.run_tensor(values)
            return rows[0] if logits else rows[1]
        parts, first = [], 0
        for part in chunks(images):
            all_logits, all_features, failed = self._native.run(part, logits, not logits)
            if failed:
                raise FileError(_numbered(failed[0][1], failed[0][0], first))
            if names is not None:
                for i, image in enumerate(part):
                    is_path = isinstance(image, (str, os.PathLike))
                    names.append(os.fspath(image) if is_path else f"image {first + i}")
            parts.append(all_logits if logits else all_features)
            first += len(part)
        return _joined(parts, width)


def _joined(parts: list[Any], width: int) -> NDArray[np.float32]:
    """All rows in one array, without a copy where there is one part."""
    if not parts:
        return np.empty((0, width), np.float32)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _numbered(sentence: str, i: int, first: int) -> str:
    """The sentence about image `i` of a part whose first image has the number `first`."""
    name = f"image {i}:"
    return f"image {first + i}:" + sentence.removeprefix(name) if sentence.startswith(name) else sentence


def _reopen(options: dict[str, Any]) -> Classifier:
    opened = Classifier.__new__(Classifier)
    opened._options = options
    opened._native = _native.Classifier(json.dumps(options), said)
    return opened
