#!/usr/bin/env python3
"""What Ray costs, and where its driver process ends: figures for docs/guide/cluster.md.

    python benches/cluster.py overhead PROGRAM [IMAGES]     # features of JPEGs by the program, then by a job on one node
    python benches/cluster.py scale [ACTORS...]             # blocks a second with actors that sleep for a second instead of computing
"""
import logging
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import ray
from PIL import Image


def pictures(folder, count):
    random = np.random.default_rng(0)
    for i in range(count):
        pixels = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((128, 96)).save(folder / f"{i:05}.jpg", quality=90)


def overhead(program, count):
    import gpu_resnet.ray

    with tempfile.TemporaryDirectory() as there:
        there = pathlib.Path(there)
        (there / "images").mkdir()
        pictures(there / "images", count)
        ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
        for turn in range(2):
            started = time.monotonic()
            command = ["infer", there / "images", "--weights", "resnet20-digits", "--image-size", "64", "--save-features", there / f"{turn}.parquet"]
            subprocess.run([program, *command, "-q"], check=True, stdout=subprocess.DEVNULL)
            alone = time.monotonic() - started
            started = time.monotonic()
            options = {"weights": "resnet20-digits", "image_size": 64, "block_size": 500}
            gpu_resnet.ray.run("features", str(there / "images"), str(there / f"ray{turn}"), **options)
            job = time.monotonic() - started
            files = sorted((there / f"ray{turn}").glob("block-*.parquet"))
            written = [file.stat().st_mtime for file in files]
            steady = (max(written) - min(written)) / (len(files) - 1) * len(files)
            print(f"{count} images: program {alone:.1f} s, job {job:.1f} s, of which without the start {steady:.1f} s", flush=True)


class Sleeper:
    def __call__(self, batch):
        time.sleep(1)
        return batch


def scale(counts):
    from ray.data import ActorPoolStrategy

    ray.init(num_cpus=80, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    for count in counts:
        blocks = 20 * count
        rows = ray.data.from_items([{"block": i} for i in range(blocks)], override_num_blocks=blocks)
        mapped = rows.map_batches(Sleeper, batch_size=1, compute=ActorPoolStrategy(size=count), num_cpus=0.5)
        times = [time.monotonic() for _ in mapped.iter_rows()]
        # Between the first and the last tenth, when all actors are there.
        part = times[blocks // 5 : blocks * 4 // 5]
        print(f"{count} actors: {(len(part) - 1) / (part[-1] - part[0]):.1f} blocks a second", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "overhead":
        overhead(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5000)
    else:
        scale([int(count) for count in sys.argv[2:]] or [4, 16, 64])
