"""The process that the cases of a verification run in: `python -m gpu_resnet._child verify --child --adapter N`."""

import argparse

from . import _native

parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["verify"])
parser.add_argument("--child", action="store_true", required=True)
parser.add_argument("--adapter", required=True)
parser.add_argument("--backend")

if __name__ == "__main__":
    asked = parser.parse_args()
    _native.serve(asked.adapter, asked.backend)
