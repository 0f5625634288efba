"""What work runs on, and who hears of it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import UsageError

Adapter = int | str | Sequence[int | str] | None

_log = logging.getLogger("gpu_resnet")
_levels = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def said(level: str, text: str) -> None:
    """Hands a sentence of the library to `logging`, as the logger `gpu_resnet`."""
    _log.log(_levels[level], text)


def machine(
    adapter: Adapter, precision: str | None = None, backend: str | None = None, offline: bool = False, tuned: bool = True
) -> dict[str, Any]:
    """The adapters and how they are used. Where none is named, GPU_RESNET_ADAPTER and GPU_RESNET_BACKEND name one, as for the
    program."""
    if adapter is None:
        adapter = os.environ.get("GPU_RESNET_ADAPTER", "").strip() or []
    if isinstance(adapter, (int, str)):
        adapter = [adapter]
    backend = backend or os.environ.get("GPU_RESNET_BACKEND", "").strip().lower() or None
    names = [str(name) for name in adapter]
    return {"adapters": names, "precision": precision, "backend": backend, "offline": offline, "tuned": tuned}


# What may be said of a network that its file does not tell.
_overrides = {"weights_key", "architecture", "set", "mean", "std", "resize", "crop", "interpolation"}


def source(weights: str | os.PathLike[str] | None, image_size: int | None, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """Which network. `overrides["architecture"]` is a description or its JSON, `overrides["set"]` a mapping or `key=value` texts."""
    settled = dict(overrides or {})
    if unknown := sorted(set(settled) - _overrides):
        raise UsageError(f"overrides= knows no {unknown[0]!r}; its keys are {', '.join(sorted(_overrides))}")
    if isinstance(settled.get("architecture"), Mapping):
        settled["architecture"] = json.dumps(settled["architecture"])
    if isinstance(settled.get("set"), Mapping):
        settled["set"] = [f"{key}={value}" for key, value in settled["set"].items()]
    return {"weights": path(weights), "image_size": image_size, "overrides": settled}


def path(name: str | os.PathLike[str] | None) -> str | None:
    """A path as text."""
    return None if name is None else os.fspath(name)
