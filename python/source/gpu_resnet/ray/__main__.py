"""`python -m gpu_resnet.ray classify s3://bucket/photos --output s3://bucket/predictions`"""

from __future__ import annotations

import argparse
import sys

import ray

import gpu_resnet
from gpu_resnet.ray import run


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m gpu_resnet.ray", description="Images through a network, over a cluster of Ray.")
    made.add_argument("task", choices=["classify", "features"])
    made.add_argument("inputs", nargs="+", metavar="INPUT", help="images, folders and globs: paths, or URLs that fsspec knows")
    made.add_argument("--output", required=True, metavar="FOLDER", help="where Parquet files go; blocks that it has are done")
    made.add_argument("--weights", metavar="W", help="what --weights of the program takes [default: the built-in network]")
    made.add_argument("--precision", choices=["f32", "f16"], default="f32")
    made.add_argument("--image-size", type=int, metavar="N")
    made.add_argument("--batch-size", type=int, default=32, metavar="N", help="images that an adapter runs at once")
    made.add_argument("--top-k", type=int, default=5, metavar="K")
    made.add_argument("--block-size", type=int, default=1000, metavar="N", help="images of a file of the output")
    made.add_argument("--adapters", metavar="N,N", help="adapters of every node [default: those that it has]")
    made.add_argument("--actors", type=int, metavar="N", help="actors in all [default: one for each adapter]")
    made.add_argument("--address", metavar="ADDRESS", help="the cluster [default: RAY_ADDRESS, else one of this machine]")
    return made


def main() -> int:
    asked = parser().parse_args()
    ray.init(address=asked.address, log_to_driver=False, ignore_reinit_error=True)
    try:
        done = run(
            asked.task,
            asked.inputs,
            asked.output,
            top_k=asked.top_k,
            block_size=asked.block_size,
            adapters=asked.adapters.split(",") if asked.adapters else None,
            actors=asked.actors,
            weights=asked.weights,
            precision=asked.precision,
            image_size=asked.image_size,
            batch_size=asked.batch_size,
        )
    except gpu_resnet.Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    was = f", {done.found} of them from before" if done.found else ""
    print(f"{done.images} images in {done.blocks} blocks{was}; {done.errors} could not be read", file=sys.stderr)
    return 1 if done.errors else 0


if __name__ == "__main__":
    sys.exit(main())
