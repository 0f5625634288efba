"""Real Ray on this machine: two raylets as two nodes, with two drivers where there are two."""

import json
import pathlib
import threading
import time

import numpy as np
import pytest
from conftest import TREE, driver

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("ray.data")
import pyarrow.parquet as pq  # noqa: E402

import gpu_resnet  # noqa: E402
import gpu_resnet.ray  # noqa: E402

NETWORK = {"weights": "resnet20-digits"}
BLOCK = 16


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Class folders with 144 digits and one that is broken."""
    folder = tmp_path_factory.mktemp("images")
    for digit in ("0", "1", "7"):
        (folder / digit).mkdir()
        for path in sorted((TREE / "examples" / "digits" / "train" / digit).iterdir())[:48]:
            (folder / digit / path.name).write_bytes(path.read_bytes())
    (folder / "1" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


def table(output):
    return pq.read_table(output).to_pylist()


def names(folder):
    return sorted(str(path) for path in pathlib.Path(folder).rglob("*.png"))


def of_one_driver(images, adapter):
    """The features of a job's blocks, as one adapter of this process computes them."""
    classifier = gpu_resnet.Classifier(adapter=adapter, **NETWORK)
    files = names(images)
    parts = [classifier.outputs(files[i : i + BLOCK]).features for i in range(0, len(files), BLOCK)]
    return dict(zip(files, np.concatenate(parts)))


def test_features_are_those_of_one_machine_and_train_the_same_head(cluster, images, tmp_path):
    output = tmp_path / "features"
    done = gpu_resnet.ray.run("features", str(images), str(output), block_size=BLOCK, **NETWORK)
    assert (done.images, done.blocks, done.found, done.errors) == (145, 10, 0, 1)
    rows = table(output)
    assert [row["id"] for row in rows] == names(images)
    expected = of_one_driver(images, gpu_resnet.devices()[0]["index"])
    for row in rows:
        if row["id"].endswith("broken.png"):
            assert row["features"] is None and "broken.png" in row["error"]
        else:
            assert row["error"] is None and row["label"] == pathlib.Path(row["id"]).parent.name
            assert np.array_equal(np.float32(row["features"]), expected[row["id"]])
    options = {"epochs": 2, "lr": 1e-2, "adapter": 0, **NETWORK}
    a = gpu_resnet.finetune(images, output=tmp_path / "a", **options)
    b = gpu_resnet.finetune(features=output, output=tmp_path / "b", **options)
    assert a.model.read_bytes() == b.model.read_bytes() and a.left_out == b.left_out == 1


def test_a_job_goes_on_where_it_was(cluster, images, tmp_path):
    output = tmp_path / "predictions"
    command = {"top_k": 2, "block_size": BLOCK, **NETWORK}
    assert gpu_resnet.ray.run("classify", str(images / "7"), str(output), **command).found == 0
    first = table(output)
    assert first[0]["label"][0] == "7" and len(first[0]["probability"]) == 2 and first[0]["index"][0] == 7
    kept, gone = sorted(output.glob("block-*.parquet"))[:2]
    gone.unlink()
    before = kept.stat().st_mtime_ns
    done = gpu_resnet.ray.run("classify", str(images / "7"), str(output), **command)
    assert (done.blocks, done.found) == (3, 2) and kept.stat().st_mtime_ns == before and table(output) == first
    for other in ({"top_k": 3}, {"block_size": 8}, {"image_size": 48}):
        with pytest.raises(gpu_resnet.FileError, match="holds another job .* name another output"):
            gpu_resnet.ray.run("classify", str(images / "7"), str(output), **(command | other))
    (tmp_path / "empty").mkdir()
    for name, words in (("empty", "holds no images"), ("nothing", "does not exist")):
        with pytest.raises(gpu_resnet.FileError, match=words):
            gpu_resnet.ray.run("classify", str(tmp_path / name), str(tmp_path / "none"), **NETWORK)
    assert not (tmp_path / "none").exists()


def test_transforms_of_data_sets(cluster, images, small):
    files = names(images / "0")
    data = ray.data.read_binary_files(str(images / "0"), include_paths=True)
    rows = {row["path"]: row for row in gpu_resnet.ray.classify(data, top_k=1, **NETWORK).take_all()}
    assert sorted(rows) == files and {row["label"][0] for row in rows.values()} == {"0"}
    data = ray.data.from_items([{"path": path, "number": i} for i, path in enumerate([*files, "missing.png"])])
    rows = sorted(gpu_resnet.ray.features(data, **NETWORK).take_all(), key=lambda row: row["number"])
    assert len(rows) == len(files) + 1 and "missing.png: does not exist" in rows[-1]["error"]
    assert rows[-1]["features"] is None
    found, expected = np.float32([row["features"] for row in rows[:-1]]), small.features(files)
    # Batches have other sizes here.
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_node_that_dies_takes_no_image_with_it(cluster, images, tmp_path):
    """The second node, with another driver if there is one, is killed once it has written a block."""
    second = cluster.add_node(num_cpus=2, env_vars=driver("swiftshader") or driver("lavapipe"))
    cluster.wait_for_nodes()
    output, result = tmp_path / "features", {}
    options = {"block_size": 4, "batch_size": 4, "image_size": 96, **NETWORK}

    def work():
        result["done"] = gpu_resnet.ray.run("features", str(images), str(output), **options)

    thread = threading.Thread(target=work)
    thread.start()
    limit = time.monotonic() + 60
    while len(list(output.glob("block-*.parquet"))) < 4 and time.monotonic() < limit:
        time.sleep(0.005)
    written = len(list(output.glob("block-*.parquet")))
    # SIGKILL, with all that runs on it.
    cluster.remove_node(second, allow_graceful=False)
    thread.join(timeout=120)
    assert not thread.is_alive() and result["done"].blocks == 37 and 4 <= written < 37
    assert [row["id"] for row in table(output)] == names(images)
    assert json.loads((output / "_job.json").read_text())["images"] == 145
    assert not list(output.glob("*.part"))
