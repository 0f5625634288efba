"""`Classifier`: what it takes, what it gives, and what it refuses."""

import io
import os
import pickle
import resource
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import TREE, read_safetensors, write_safetensors
from PIL import Image

import gpu_resnet


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_every_kind_of_image_gives_the_same_bits(small, photos):
    # Of a PNG, every decoder gives the same pixels.
    path = next(path for path in photos if path.suffix == ".png")
    kinds = [path, str(path), path.read_bytes(), Image.open(path), pixels(path)]
    expected = small.logits(path)
    assert expected.shape == (1, 10) and expected.dtype == np.float32
    for kind in kinds:
        assert np.array_equal(small.logits(kind), expected), type(kind)
    # One array of several images, and a view of it that is not contiguous.
    batch = np.stack([pixels(path)] * 3)
    assert np.array_equal(small.logits(batch), small.logits([path] * 3))
    assert np.array_equal(small.logits(batch[:, ::-1, ::-1]), small.logits([np.ascontiguousarray(pixels(path)[::-1, ::-1])] * 3))
    assert np.array_equal(small.logits(path for path in [path] * 3), small.logits(batch))


def test_predictions(small, photos, digits):
    path = next((digits / "7").iterdir())
    found = small.classify([path, photos[0]], top_k=3)
    assert len(found) == 2 and found[0][0].label == "7" and found[0][0].probability > 0.9
    assert found.index.shape == (2, 3) and found.index.dtype == np.int32 and found.probability.dtype == np.float64
    logits = small.logits([path, photos[0]]).astype(np.float64)
    softmax = np.exp(logits - logits.max(1, keepdims=True))
    softmax /= softmax.sum(1, keepdims=True)
    order = np.argsort(-softmax, axis=1)[:, :3]
    assert np.array_equal(found.index, order)
    assert np.allclose(found.probability, np.take_along_axis(softmax, order, 1), rtol=1e-12)
    assert [len(row) for row in found] == [3, 3] and found[-1] == found[1] and "7" in repr(found)
    assert small.classify(path, top_k=99).index.shape == (1, 10)
    with pytest.raises(IndexError):
        found[2]


def test_the_table_is_that_of_infer(small, digits):
    paths = sorted((digits / "1").iterdir())
    table = small.classify(paths, top_k=2).to_arrow()
    assert table.column_names == ["input", "index", "label", "probability"]
    row = table.to_pylist()[3]
    assert row["input"] == str(paths[3]) and row["label"][0] == small.labels[row["index"][0]]
    assert len(row["probability"]) == 2 and row["probability"][0] > row["probability"][1]


def test_a_tensor_is_taken_as_it_is(small, photos):
    prepared = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    logits = small.logits(tensor=prepared)
    assert logits.shape == (3, 10) and np.array_equal(small.logits(tensor=prepared), logits)
    assert small.features(tensor=prepared).shape == (3, 64) and len(small.classify(tensor=prepared)) == 3
    assert small.logits(tensor=prepared[:0]).shape == (0, 10)
    # 32 x 32 pixels need no scaling, so normalising them here gives the same but for rounding.
    image = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    overrides = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "resize": 32, "crop": 32}
    classifier = gpu_resnet.Classifier("resnet20-digits", overrides=overrides)
    tensor = ((image.astype(np.float32) / 255 - 0.5) / 0.25).transpose(0, 3, 1, 2)
    a, b = classifier.logits(image), classifier.logits(tensor=tensor)
    assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


def test_nothing_gives_nothing(small):
    assert small.logits([]).shape == (0, 10) and small.features([]).shape == (0, 64)
    assert len(small.classify([])) == 0 and small.classify([]).to_arrow().num_rows == 0
    assert small.logits(np.empty((0, 4, 4, 3), np.uint8)).shape == (0, 10)


def test_a_bad_image_is_an_exception_or_a_row(small, photos):
    with pytest.raises(gpu_resnet.FileError, match="missing.jpg: does not exist; check the path") as raised:
        small.classify([photos[0], "missing.jpg"])
    assert isinstance(raised.value, OSError)
    with pytest.raises(gpu_resnet.FileError, match="image 1: is a text file, not an image"):
        small.features([photos[0], b"no image"])
    found = small.outputs([photos[0], b"no image", photos[1], "missing.jpg"])
    assert sorted(found.errors) == [1, 3] and "missing.jpg" in found.errors[3]
    assert np.isnan(found.features[[1, 3]]).all() and np.isfinite(found.features[[0, 2]]).all()
    assert np.isnan(found.logits[[1, 3]]).all()
    # Past the first part of a long list, images keep their numbers.
    many = [b"x"] * 1030
    assert small.outputs(many).errors[1029].startswith("image 1029: ")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda c, a: c.logits(a.astype(np.float32)), r"float32 \[1, 8, 8, 3\]; an array of images is uint8"),
        (lambda c, a: c.logits(a[..., :2]), r"uint8 \[1, 8, 8, 2\]"),
        (lambda c, a: c.logits([a]), r"an image's array is uint8 \[H, W, 3\]"),
        (lambda c, a: c.logits([3]), "an image of type int; give a path"),
        (lambda c, a: c.logits(), "give either images or tensor="),
        (lambda c, a: c.logits(a, tensor=a), "give either images or tensor="),
        (lambda c, a: c.logits(tensor=a), r"tensor= of uint8 .* it is float32"),
        (lambda c, a: c.logits(tensor=np.zeros((1, 4, 8, 8), np.float32)), r"float32 \[1, 4, 8, 8\]"),
        (lambda c, a: c.classify(a, top_k=0), "top_k=0; give 1 or more"),
        (lambda c, a: c.logits(np.zeros((1, 0, 8, 3), np.uint8)), "image 0"),
        (lambda c, a: gpu_resnet.Classifier("no-such-weights"), "no-such-weights"),
        (lambda c, a: gpu_resnet.Classifier(adapter="no such adapter"), "no adapter matches"),
        (lambda c, a: gpu_resnet.Classifier(precision="f64"), 'precision "f64" is not known; use f32 or f16'),
        (lambda c, a: gpu_resnet.Classifier(batch_size=0), "batch_size=0"),
        (lambda c, a: gpu_resnet.Classifier("resnet20-digits", labels=["a"]), "list of labels"),
        (lambda c, a: gpu_resnet.Classifier(backend="opencl"), "opencl"),
        (lambda c, a: gpu_resnet.Classifier(overrides={"meen": [0, 0, 0]}), "overrides= knows no 'meen'"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(small, wrong, words):
    image = np.zeros((1, 8, 8, 3), np.uint8)
    with pytest.raises(gpu_resnet.Error, match=words):
        wrong(small, image)


def test_labels_can_be_given(photos):
    names = [f"digit {i}" for i in range(10)]
    classifier = gpu_resnet.Classifier("resnet20-digits", labels=names)
    assert classifier.labels == names and classifier.classify(photos[0])[0][0].label.startswith("digit ")


def test_a_network_without_a_head_has_features(tmp_path, photos):
    tensors, _ = read_safetensors(TREE / "weights" / "resnet20-digits.safetensors")
    headless = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
    write_safetensors(tmp_path / "headless.safetensors", headless)
    classifier = gpu_resnet.Classifier(tmp_path / "headless.safetensors")
    assert not classifier.has_head and classifier.features(photos[0]).shape == (1, 64)
    assert classifier.outputs(photos[0]).logits is None
    with pytest.raises(gpu_resnet.UsageError, match="has no head, so it makes no predictions"):
        classifier.classify(photos[0])


def test_evaluate(small, digits):
    report = small.evaluate(digits)
    assert report["count"] == 24 and report["top1"] > 0.9 and sorted(report["per_class"]) == ["0", "1", "7"]
    assert gpu_resnet.evaluate(digits, "resnet20-digits") == report
    with pytest.raises(gpu_resnet.FileError, match="missing"):
        small.evaluate("missing")


def test_features_feed_scikit_learn(small, digits):
    from sklearn.linear_model import LogisticRegression

    paths = sorted(digits.rglob("*.png"))
    model = LogisticRegression().fit(small.features(paths), [path.parent.name for path in paths])
    assert model.score(small.features(paths), [path.parent.name for path in paths]) == 1.0


def test_eight_threads_give_the_bits_of_one(small, photos):
    expected = [small.logits([path, photos[0]]) for path in photos]
    found = {}

    def work(thread):
        found[thread] = [small.logits([path, photos[0]]) for path in photos]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(found) == 8
    for rows in found.values():
        assert all(np.array_equal(a, b) for a, b in zip(rows, expected))


def resident():
    """Bytes that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
def test_memory_is_flat_over_many_calls(small, photos):
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(image[0]).save(encoded, "PNG")

    def calls(count):
        for _ in range(count):
            small.classify(image)
            small.features(encoded.getvalue())

    calls(100)
    before = resident()
    calls(int(os.environ.get("GPU_RESNET_TEST_CALLS", "300")) // 2)
    assert resident() - before < 4 << 20


def test_other_threads_run_meanwhile(small, photos):
    turns, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            turns[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = turns[0]
    small.features(list(photos) * 20)
    during = turns[0] - before
    stop.set()
    thread.join()
    assert during > 10_000


def test_a_pickled_classifier_is_opened_again(small, photos):
    again = pickle.loads(pickle.dumps(small))
    assert again.labels == small.labels and np.array_equal(again.logits(photos[0]), small.logits(photos[0]))


SCRIPT = """
import multiprocessing, os, sys
import gpu_resnet
classifier = gpu_resnet.Classifier("resnet20-digits") if {opened} else None
def work(path):
    try:
        one = classifier or gpu_resnet.Classifier("resnet20-digits")
        return one.classify(path)[0][0].label
    except gpu_resnet.UsageError as error:
        return str(error)
def opening(path):
    try:
        return gpu_resnet.Classifier("resnet20-digits").classify(path)[0][0].label
    except gpu_resnet.UsageError as error:
        return str(error)
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(1) as pool:
        print(pool.map({function}, [sys.argv[1]])[0])
"""


@pytest.mark.parametrize(
    ("method", "opened", "function", "expected"),
    [
        ("spawn", False, "work", "7"),
        ("fork", False, "work", "7"),
        ("fork", True, "work", "opened before the process was forked"),
        ("fork", True, "opening", "was forked from one that uses gpu_resnet already"),
    ],
)
def test_forks_are_refused_in_words_and_spawned_workers_work(tmp_path, digits, method, opened, function, expected):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(method=method, opened=opened, function=function))
    image = next((digits / "7").iterdir())
    done = subprocess.run([sys.executable, script, image], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
