"""What the tests share: a cache of their own, digits, photographs, and torchvision's network."""

import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pytest

# Before anything of the package is used: what is measured or kept elsewhere must not change a result here.
os.environ["GPU_RESNET_CACHE"] = tempfile.mkdtemp(prefix="gpu-resnet-tests-")
os.environ["GPU_RESNET_TUNE"] = "on"

import gpu_resnet  # noqa: E402

TREE = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(TREE / "tests" / "golden"))


def pytest_sessionfinish():
    shutil.rmtree(os.environ["GPU_RESNET_CACHE"], ignore_errors=True)


@pytest.fixture(scope="session")
def photos():
    """The paths of five photographs."""
    folder = TREE / "tests" / "golden" / "photos"
    return sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder of three class folders with eight digits each."""
    folder = tmp_path_factory.mktemp("digits")
    for digit in ("0", "1", "7"):
        (folder / digit).mkdir()
        for path in sorted((TREE / "examples" / "digits" / "train" / digit).iterdir())[:8]:
            shutil.copy(path, folder / digit)
    return folder


@pytest.fixture(scope="session")
def small():
    """A network that takes a moment: CIFAR's ResNet-20, trained on digits."""
    return gpu_resnet.Classifier("resnet20-digits", batch_size=8)


def driver(name):
    """What makes a node see one of this machine's drivers alone, if it is here."""
    found = subprocess.run([TREE / "scripts" / "drivers.sh", name], capture_output=True, text=True, check=False)
    if found.returncode:
        return {}
    icd = found.stdout.strip()
    return {"VK_DRIVER_FILES": icd, "VK_ICD_FILENAMES": icd, "__EGL_VENDOR_LIBRARY_FILENAMES": "/dev/null"}


@pytest.fixture(scope="session")
def cluster():
    """Real Ray on this machine, with a raylet as its node; tests add others."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "env_vars": driver("lavapipe")})
    ray.init(address=made.address, log_to_driver=False)
    yield made
    # Ray's threads go on telling of their end where nobody listens.
    logging.raiseExceptions = False
    ray.shutdown()
    made.shutdown()


def read_safetensors(path):
    """Tensors (float32 and int64) and metadata of a safetensors file."""
    data = pathlib.Path(path).read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    metadata = header.pop("__metadata__", {})

    def tensor(about):
        first, last = about["data_offsets"]
        kind = {"F32": np.float32, "I64": np.int64}[about["dtype"]]
        return np.frombuffer(data[end + first : end + last], kind).reshape(about["shape"])

    return {name: tensor(about) for name, about in header.items()}, metadata


def write_safetensors(path, tensors, metadata=None):
    """Writes float32 and int64 arrays."""
    header, first = {"__metadata__": metadata} if metadata else {}, 0
    for name, array in tensors.items():
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [first, first + array.nbytes]}
        first += array.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            file.write(array.tobytes())
