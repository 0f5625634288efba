"""ResNet inference and fine-tuning on any GPU, with no CUDA.

>>> import gpu_resnet
>>> classifier = gpu_resnet.Classifier()
>>> classifier.classify("photo.jpg")[0][0].label    # doctest: +SKIP
'safe'
"""

from ._classifier import Classifier, Outputs
from ._native import __version__
from ._predictions import Prediction, Predictions
from ._training import Run, evaluate, finetune, resume
from ._verification import devices, verify
from .errors import (
    DeviceLostError,
    Error,
    FileError,
    MismatchError,
    NoAdapterError,
    OutOfMemoryError,
    UsageError,
)

__all__ = [
    "Classifier",
    "DeviceLostError",
    "Error",
    "FileError",
    "MismatchError",
    "NoAdapterError",
    "OutOfMemoryError",
    "Outputs",
    "Prediction",
    "Predictions",
    "Run",
    "UsageError",
    "__version__",
    "devices",
    "evaluate",
    "finetune",
    "resume",
    "verify",
]
