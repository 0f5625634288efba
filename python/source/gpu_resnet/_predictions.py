"""What a network says of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow


class Prediction(NamedTuple):
    """A class that an image may be of."""

    index: int  # type: ignore[assignment]
    label: str
    probability: float


class Predictions:
    """The most likely classes of each image, likeliest first; `len(predictions)` images.

    `predictions[i]` is a list of `Prediction`, `predictions.index` and `predictions.probability` are arrays `[N, k]`.
    """

    def __init__(
        self, names: Sequence[str], labels: Sequence[str], index: NDArray[np.int32], probability: NDArray[np.float64]
    ) -> None:
        #: What each image is called: its path, or `image N`.
        self.names = list(names)
        #: The name of every class of the network.
        self.labels = list(labels)
        #: Numbers of classes, int32 [N, k].
        self.index = index
        #: Their probabilities, float64 [N, k].
        self.probability = probability

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> list[Prediction]:
        rows = zip(self.index[i].tolist(), self.probability[i].tolist())
        return [Prediction(index, self.labels[index], probability) for index, probability in rows]

    def __iter__(self) -> Iterator[list[Prediction]]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        shown = [f"{name}: {row[0].label} {100 * row[0].probability:.2f} %" for name, row in zip(self.names[:5], self)]
        more = [f"and {len(self) - 5} more"] if len(self) > 5 else []
        return "<Predictions " + "; ".join(shown + more) + ">"

    def to_arrow(self) -> pyarrow.Table:
        """The table that `infer --format parquet` writes: `input`, and the lists `index`, `label` and `probability`."""
        import pyarrow as pa

        count, k = self.index.shape
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * np.int32(k))

        def lists(values: pa.Array) -> pa.Array:
            return pa.ListArray.from_arrays(offsets, values)

        index = pa.array(self.index.ravel())
        columns = {
            "input": pa.array(self.names, pa.string()),
            "index": lists(index),
            "label": lists(pa.array(self.labels, pa.string()).take(index)),
            "probability": lists(pa.array(self.probability.ravel())),
        }
        return pa.table(columns)
