"""A job over files that can be killed at any moment and started again: every image comes out exactly once.

The files are listed and cut into blocks, always the same. A block is one Parquet file of the output, which gets its name once it
is whole; so what is there is done. A block that is computed twice, because its node died, is written twice with the same name.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import fsspec
import pyarrow as pa
import pyarrow.parquet
import ray

import gpu_resnet
from gpu_resnet.ray._adapters import Adapters, pool, registry
from gpu_resnet.ray._worker import Worker

# Endings of images, as in the program.
ENDINGS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"}
# Readers of data sets leave out what begins with `_`.
JOB = "_job.json"
# Folders that are parts of a data set, not classes.
PARTS = {"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"}


@dataclass(frozen=True)
class Summary:
    """What a job has done."""

    #: Images of the whole job.
    images: int
    #: Blocks of the whole job, a file each.
    blocks: int
    #: Blocks that were there already.
    found: int
    #: Images of the blocks of this run that could not be read; their rows say why.
    errors: int


def run(
    task: Literal["classify", "features"],
    inputs: str | Sequence[str],
    output: str,
    *,
    top_k: int = 5,
    block_size: int = 1000,
    adapters: Adapters = None,
    actors: int | None = None,
    **options: Any,
) -> Summary:
    """Classifies the images of `inputs`, or computes their features, into Parquet files in the folder `output`.

    Inputs are images, folders and globs, and the output a folder, at any path or URL that fsspec knows. A row has `id` (the path
    or URL), `label` (of features: the folder below the input that the image lies in, null without one), the columns of the task,
    and `error`. Blocks of `block_size` images that `output` has already are not computed again. Options are those of `Classifier`;
    `adapters` and `actors` are those of `features`.
    """
    files = list_images([inputs] if isinstance(inputs, str) else list(inputs))
    if not files:
        raise gpu_resnet.FileError(f"{inputs}: holds no images; check the path")
    fs, folder = fsspec.core.url_to_fs(output)
    blocks = -(-len(files) // block_size)
    _claim(fs, folder, _description(task, files, block_size, top_k, options))
    done = {block for block in range(blocks) if fs.exists(_path(folder, block))}
    todo = [{"block": block} for block in range(blocks) if block not in done]
    errors = 0
    if todo:
        for row in _computed(todo, files, output, task, top_k, block_size, adapters, actors, options):
            errors += row["errors"]
    return Summary(len(files), blocks, len(done), errors)


def _computed(todo, files, output, task, top_k, block_size, adapters, actors, options) -> Iterable[dict[str, Any]]:
    """Computes blocks; a row for each."""
    data = ray.data.from_items(todo, override_num_blocks=len(todo)).map_batches(
        _BlockWorker,
        fn_constructor_args=(ray.put(files), output, block_size, task, options, adapters, registry(), top_k),
        batch_format="numpy",
        batch_size=1,
        **pool(adapters, actors),
    )
    return data.iter_rows()


class _BlockWorker(Worker):
    """Computes blocks, and writes each into its file."""

    def __init__(self, files: Any, output: str, block_size: int, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._files = ray.get(files) if isinstance(files, ray.ObjectRef) else files
        self._output, self._block_size = output, block_size

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        errors = [self._block(int(block)) for block in batch["block"]]
        return {"block": batch["block"], "errors": errors}

    def _block(self, block: int) -> int:
        rows = self._files[block * self._block_size : (block + 1) * self._block_size]
        columns = self.columns([name for name, _ in rows])
        table = {"id": pa.array([name for name, _ in rows], pa.string())}
        if "features" in columns:
            table["label"] = pa.array([label for _, label in rows], pa.string())
        written = pa.table(table | columns).replace_schema_metadata(self.metadata)
        fs, folder = fsspec.core.url_to_fs(self._output)
        _write(fs, _path(folder, block), lambda file: pyarrow.parquet.write_table(written, file))
        return written.num_rows - written["error"].null_count


def list_images(inputs: Sequence[str]) -> list[tuple[str, str | None]]:
    """The images of `inputs` with their labels, each once, by name."""
    found: dict[str, str | None] = {}
    for given in inputs:
        fs, path = fsspec.core.url_to_fs(given)
        is_url = "://" in given
        if fs.isdir(path):
            root = path.rstrip("/")
            named = given.rstrip("/")
            for file in fs.find(path):
                below = file[len(root) + 1 :]
                hidden = any(part.startswith(".") for part in below.split("/"))
                if posixpath.splitext(below)[1].lower() in ENDINGS and not hidden:
                    found.setdefault(f"{named}/{below}", _label(below))
            continue
        files = [path] if fs.exists(path) else fs.glob(path)
        if not files:
            raise gpu_resnet.FileError(f"{given}: does not exist, or matches no file; check the path")
        for file in files:
            found.setdefault(fs.unstrip_protocol(file) if is_url else file, None)
    return sorted(found.items())


def _label(below: str) -> str | None:
    """The class folder of an image at the path `below` its input, as `gpu-resnet infer` has it."""
    folders = below.split("/")[:-1]
    return next(iter(folders[1:] if len(folders) > 1 and folders[0].lower() in PARTS else folders), None)


def _description(task: str, files: list, block_size: int, top_k: int, options: dict[str, Any]) -> dict[str, Any]:
    """What makes a job another job."""
    digest = hashlib.sha256("\0".join(name for name, _ in files).encode()).hexdigest()
    weights = options.get("weights")
    kept = {key: value for key, value in options.items() if key not in ("batch_size", "backend", "offline", "tuned")}
    kept["weights"] = None if weights is None else os.fspath(weights)
    top = {"top_k": top_k} if task == "classify" else {}
    return {"task": task, "images": len(files), "sha256": digest, "block_size": block_size, "options": kept} | top


def _claim(fs: Any, folder: str, description: dict[str, Any]) -> None:
    """Writes down what the job is, or compares it with what is written there."""
    fs.makedirs(folder, exist_ok=True)
    path = f"{folder}/{JOB}"
    wanted = json.loads(json.dumps(description))
    if not fs.exists(path):
        if fs.glob(f"{folder}/block-*.parquet"):
            raise gpu_resnet.FileError(f"{folder}: holds blocks without their {JOB}; name another output")
        _write(fs, path, lambda file: file.write(json.dumps(wanted, indent=1).encode()))
        return
    try:
        with fs.open(path, "rb") as file:
            found = json.loads(file.read(1 << 20))
    except ValueError as error:
        raise gpu_resnet.FileError(f"{path}: is damaged ({error}); name another output") from None
    if found != wanted:
        keys = [key for key in wanted if not isinstance(found, dict) or found.get(key) != wanted[key]]
        raise gpu_resnet.FileError(f"{folder}: holds another job ({', '.join(keys)} differ); name another output")


def _path(folder: str, block: int) -> str:
    return f"{folder}/block-{block:06}.parquet"


def _write(fs: Any, path: str, write: Any) -> None:
    """Writes a file that has its name once it is whole. Object stores do so by themselves; elsewhere it is renamed."""
    local = "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)
    parent, name = posixpath.split(path)
    place = f"{parent}/_{name}.{os.getpid()}.part" if local else path
    with fs.open(place, "wb") as file:
        write(file)
    if local:
        os.replace(place, path)
