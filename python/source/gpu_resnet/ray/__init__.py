"""Images by the million, over a cluster of Ray with GPUs of any vendor: `classify` and `features` for data sets of Ray Data, and
`run`, a job that can be killed and started again (`python -m gpu_resnet.ray` is its command line). `train` trains a network on all of
its adapters together.

Each adapter of each node has an actor, which decodes on its node's cores and computes on its adapter. An image that can't be read
becomes a row with its `error`.
"""

try:
    import ray as _ray  # noqa: F401
except ImportError as error:
    raise ImportError("gpu_resnet.ray needs Ray Data; install it by: pip install 'ray[data]'") from error

from ._datasets import classify, features
from ._job import Summary, run
from ._training import train

__all__ = ["Summary", "classify", "features", "run", "train"]
