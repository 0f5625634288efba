"""Types of the native half. Arguments called `options` and results called JSON are made and read by the Python half."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str

# Logits and features, float32 or None where they are not wanted; and why rows are missing.
Rows = tuple[Any, Any, list[tuple[int, str]]]

class Classifier:
    def __new__(cls, options: str, said: Callable[[str, str], Any]) -> Classifier: ...
    labels: list[str]
    architecture: str
    adapter: str
    has_head: bool
    outputs: int
    feature_count: int
    weights_sha256: str
    preprocess: str
    crop: int
    def run(self, images: Any, logits: bool, features: bool) -> Rows: ...
    def run_tensor(self, tensor: NDArray[np.float32]) -> Rows: ...
    @staticmethod
    def top(logits: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]: ...
    def evaluate(self, data: str | PathLike[str]) -> str: ...

def finetune(
    options: str,
    output: str | PathLike[str] | None,
    said: Callable[[str, str], Any],
    epoch: Callable[[str], Any] | None,
) -> str: ...
def resume(
    folder: str | PathLike[str],
    epochs: int | None,
    machine: str,
    said: Callable[[str, str], Any],
    epoch: Callable[[str], Any] | None,
) -> str: ...
def train(
    options: str,
    output: str | PathLike[str],
    said: Callable[[str, str], Any],
    epoch: Callable[[str], Any] | None,
    workers: Any,
) -> str: ...

class Worker:
    def __new__(
        cls, job: str, state: NDArray[np.float32], index: int, machine: str, said: Callable[[str, str], Any]
    ) -> Worker: ...
    adapter: str
    def gradients(
        self, epoch: int, step: int, loss_scale: float, parameters: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], str]: ...

def devices(backend: str | None) -> str: ...
def verify(
    asked: str,
    program: str | PathLike[str],
    loading: Sequence[str],
    said: Callable[[str, str], Any],
) -> str: ...
def serve(adapter: str, backend: str | None) -> None: ...
