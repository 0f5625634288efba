"""Fine-tuning, from labelled images to a run's folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from . import _native
from ._classifier import Classifier
from ._machine import Adapter, machine, path, said, source
from .errors import UsageError

#: An epoch's measurements, with the keys of metrics.jsonl: `epoch`, `step`, `train_loss`, `train_accuracy`, `val_loss`,
#: `val_accuracy`, `lr`, `images_per_second`, …
Epoch = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """How a run ended. Accuracies are fractions, None without validation images."""

    #: The run's folder.
    folder: Path
    #: The network, which needs nothing beside it.
    model: Path
    #: The epoch that it is from.
    epoch: int
    #: The learning rate that it was trained with.
    lr: float
    train_loss: float | None
    train_accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    #: Whether training ended before its last epoch, since no epoch was better any more.
    stopped_early: bool
    #: Images that could not be read, and were left out.
    left_out: int

    def metrics(self) -> list[Epoch]:
        """Every epoch, as metrics.jsonl has it."""
        with open(self.folder / "metrics.jsonl", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def classifier(self, **options: Any) -> Classifier:
        """The network, opened; `options` are those of `Classifier`."""
        return Classifier(self.folder, **options)


def finetune(
    data: str | os.PathLike[str] | None = None,
    *,
    features: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    output: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    val: str | os.PathLike[str] | None = None,
    val_split: float = 0.1,
    classes: Sequence[str] | None = None,
    recipe: Literal["auto", "notes"] = "auto",
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int = 32,
    optimizer: Literal["adam", "adamw", "sgd"] = "adam",
    weight_decay: float | None = None,
    momentum: float | None = None,
    label_smoothing: float = 0.0,
    balance: bool = False,
    unfreeze: str = "head",
    bn: Literal["eval", "train"] = "eval",
    backbone_lr: float | None = None,
    augment: str = "none",
    lr_schedule: Literal["constant", "step", "cosine", "one-cycle"] | None = None,
    lr_milestones: Sequence[int] = (),
    lr_gamma: float = 0.1,
    warmup_epochs: float = 0.0,
    clip_grad_norm: float | None = None,
    ema: float | None = None,
    patience: int | None = None,
    bias_decay: bool = True,
    recompute: Literal["none", "blocks"] = "none",
    log_gradients: bool = False,
    tensorboard: bool = False,
    image_size: int | None = None,
    seed: int = 0,
    adapter: Adapter = None,
    backend: str | None = None,
    precision: Literal["f32", "f16"] = "f32",
    offline: bool = False,
    tuned: bool = True,
    overrides: Mapping[str, Any] | None = None,
    callback: Callable[[Epoch], Any] | None = None,
) -> Run:
    """Train a pretrained network for classes of your own; `gpu-resnet finetune` with the same options and defaults.

    `data` is a folder of class folders, CIFAR or MNIST files, a CSV, safetensors, or a name of `gpu-resnet data fetch`. The
    run's folder is `output`, or the next free one of runs/finetune; it holds model.safetensors, which `Classifier` opens,
    metrics.jsonl, curves.svg and report.html. `features`, instead of `data`, names Parquet files of features that were computed
    before, or folders of such files, with the columns `id`, `label` and `features`; no image is read then. `callback` is called with each epoch's measurements as soon as they are on disk;
    what it raises ends the run and is raised. What the program would say on stderr goes to `logging`, as the logger
    `gpu_resnet`. `adapter` may be a list: its adapters share the computing of features, or, where more than a head is trained, each
    step, in which each has `batch_size` images.

    After Ctrl-C, or a crash, `resume(folder)` goes on from the last whole epoch to the same bits.

    >>> run = finetune("photos/", epochs=10, callback=lambda e: bar.update())    # doctest: +SKIP
    >>> run.val_accuracy, run.classifier().classify("new.jpg")                   # doctest: +SKIP
    """
    return ended(_native.finetune(json.dumps(described(locals())), path(output), said, called(callback)))


def described(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the native half takes for the keywords of `finetune`, all of which `asked` has."""
    data, features, classes = asked["data"], asked["features"], asked["classes"]
    if (data is None) == (features is None):
        raise UsageError("give either data or features=")
    named = [features] if isinstance(features, (str, os.PathLike)) else list(features or [])
    if data is None and not named:
        raise UsageError("features= names no file; name one of `infer --save-features`")
    plain = {name: asked[name] for name in _PLAIN}
    machine_keys = ("adapter", "precision", "backend", "offline", "tuned")
    return plain | {
        "data": os.fspath(named[0] if data is None else data),
        "features": [os.fspath(name) for name in named],
        "val": path(asked["val"]),
        "classes": None if classes is None else list(classes),
        "source": source(asked["weights"], asked["image_size"], asked["overrides"]),
        "machine": machine(*(asked[key] for key in machine_keys)),
        "lr_milestones": list(asked["lr_milestones"]),
    }


# Keywords of `finetune` that the native half takes as they are.
_PLAIN = (
    "val_split", "recipe", "lr", "epochs", "batch_size", "label_smoothing", "balance", "seed", "optimizer", "weight_decay",
    "momentum", "unfreeze", "bn", "backbone_lr", "bias_decay", "clip_grad_norm", "ema", "patience", "log_gradients", "recompute",
    "augment", "lr_schedule", "lr_gamma", "warmup_epochs", "tensorboard",
)  # fmt: skip


def resume(
    folder: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    adapter: Adapter = None,
    backend: str | None = None,
    offline: bool = False,
    tuned: bool = True,
    callback: Callable[[Epoch], Any] | None = None,
) -> Run:
    """Go on with the run of `finetune` in `folder` that was stopped, with its own settings, until `epochs` are done if that is
    given."""
    on = machine(adapter, None, backend, offline, tuned)
    return ended(_native.resume(os.fspath(folder), epochs, json.dumps(on), said, called(callback)))


def evaluate(
    data: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    adapter: int | str | None = None,
    precision: str = "f32",
    **options: Any,
) -> dict[str, Any]:
    """How often the network in `weights` is right on labelled images; see `Classifier.evaluate`. `options` are those of
    `Classifier`."""
    return Classifier(weights, adapter, precision, **options).evaluate(data)


def called(callback: Callable[[Epoch], Any] | None) -> Callable[[str], Any] | None:
    return None if callback is None else lambda text: callback(json.loads(text))


def ended(text: str) -> Run:
    summary = json.loads(text)
    values = {key: summary[key] for key in Run.__dataclass_fields__ if key not in ("folder", "model")}
    return Run(Path(summary["run"]), Path(summary["model"]), **values)
