"""Transforms of data sets of Ray Data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gpu_resnet.ray._adapters import Adapters, pool, registry
from gpu_resnet.ray._worker import Worker

if TYPE_CHECKING:
    import ray.data

# Columns that hold an image, in the order in which they are looked for.
IMAGES = ("bytes", "image", "path")
# Rows that an actor takes at once. It runs them in batches of its own.
ROWS = 256


class _Transform(Worker):
    """Replaces the column of images of a batch by what the network says of them."""

    def __init__(self, column: str | None, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._column = column

    def __call__(self, batch: dict[str, Any]) -> pa.Table:
        column = self._column or next((name for name in IMAGES if name in batch), None)
        if column not in batch:
            have = ", ".join(batch)
            raise ValueError(f"the data set has no column of images (only {have}); name it by column=")
        kept = {name: pa.array(values) for name, values in batch.items() if name == "path" or name != column}
        return pa.table(kept | self.columns(list(batch[column])))


def features(
    dataset: ray.data.Dataset, *, column: str | None = None, adapters: Adapters = None, actors: int | None = None, **options: Any
) -> ray.data.Dataset:
    """The data set with the columns `features` (a list of float32) and `error` in place of its images.

    Images are encoded `bytes`, as `ray.data.read_binary_files(…, include_paths=True)` has them, arrays `image`, or a `path`;
    `column` names another one. `adapters` are numbers or names that every node has; without it each node's own are found.
    `actors` is their number, an actor for each adapter if it is left out. Other options are those of `Classifier`.
    """
    return _mapped(dataset, "features", column, adapters, actors, 0, options)


def classify(
    dataset: ray.data.Dataset,
    top_k: int = 5,
    *,
    column: str | None = None,
    adapters: Adapters = None,
    actors: int | None = None,
    **options: Any,
) -> ray.data.Dataset:
    """The data set with the lists `index`, `label` and `probability`, likeliest first, and `error` in place of its images. The
    arguments are those of `features`."""
    return _mapped(dataset, "classify", column, adapters, actors, top_k, options)


def _mapped(dataset, task, column, adapters, actors, top_k, options):
    return dataset.map_batches(
        _Transform,
        fn_constructor_args=(column, task, options, adapters, registry(), top_k),
        batch_format="numpy",
        batch_size=ROWS,
        **pool(adapters, actors),
    )
