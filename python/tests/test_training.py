"""`finetune`, `resume` and what they give back."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import gpu_resnet

OPTIONS = {"weights": "resnet20-digits", "val_split": 0.25, "lr": 1e-2}


def test_a_run_with_a_callback_each_epoch(digits, tmp_path):
    epochs = []
    run = gpu_resnet.finetune(digits, output=tmp_path / "run", epochs=4, callback=epochs.append, **OPTIONS)
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3, 4]
    assert run.metrics() == epochs and run.folder == tmp_path / "run" and run.model.is_file()
    assert run.val_accuracy == epochs[run.epoch - 1]["val_accuracy"] and run.lr == 1e-2 and run.left_out == 0
    assert (run.folder / "report.html").is_file()
    classifier = run.classifier()
    assert classifier.labels == ["0", "1", "7"]
    assert classifier.classify(next((digits / "7").iterdir()))[0][0].label == "7"
    with pytest.raises(gpu_resnet.FileError, match="already holds a run"):
        gpu_resnet.finetune(digits, output=tmp_path / "run", epochs=1, **OPTIONS)


def test_what_a_callback_raises_ends_the_run_which_goes_on_to_the_same_bits(digits, tmp_path):
    class Enough(Exception):
        pass

    def stop(epoch):
        if epoch["epoch"] == 2:
            raise Enough

    with pytest.raises(Enough):
        gpu_resnet.finetune(digits, output=tmp_path / "stopped", epochs=5, callback=stop, **OPTIONS)
    epochs = []
    resumed = gpu_resnet.resume(tmp_path / "stopped", callback=epochs.append)
    assert [epoch["epoch"] for epoch in epochs] == [3, 4, 5]
    whole = gpu_resnet.finetune(digits, output=tmp_path / "whole", epochs=5, **OPTIONS)
    assert resumed.model.read_bytes() == whole.model.read_bytes()
    assert gpu_resnet.resume(tmp_path / "stopped", epochs=6).metrics()[-1]["epoch"] == 6


def test_the_upper_part_is_trained_with_the_commands_options(digits, tmp_path):
    run = gpu_resnet.finetune(
        digits, output=tmp_path / "run", weights="resnet20-digits", epochs=1, unfreeze="layer3", optimizer="sgd", lr=1e-3,
        momentum=0.8, augment="flip", lr_schedule="one-cycle", ema=0.9, bn="train", clip_grad_norm=1.0, patience=3,
        log_gradients=True, label_smoothing=0.1, bias_decay=False, recompute="blocks", seed=7,
    )  # fmt: skip
    config = (run.folder / "config.toml").read_text()
    for line in ('unfreeze = "layer3"', "momentum = 0.8", 'curve = "one-cycle"', "ema = 0.9", "bias_decay = false", "seed = 7"):
        assert line in config, line
    assert "grad_norm" in run.metrics()[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizer": "lion"}, 'no optimizer "lion"'),
        ({"momentum": 0.5}, "adam takes no --momentum"),
        ({"unfreeze": "layer9"}, "layer9"),
        ({"augment": "spin"}, "spin"),
        ({"recipe": "none"}, "an argument can't be used"),
        ({"ema": 0.9}, "--ema is for training more than a head"),
        ({"val_split": 1.5}, "val-split 1.5"),
        ({"lr": -1.0}, "-1"),
        ({"adapter": "nothing"}, "no adapter matches"),
    ],
)
def test_wrong_options_are_refused_and_leave_nothing(digits, tmp_path, options, words):
    with pytest.raises(gpu_resnet.Error, match=words):
        gpu_resnet.finetune(digits, output=tmp_path / "run", **{**OPTIONS, "epochs": 1, **options})
    assert not (tmp_path / "run").exists()


def test_data_that_is_not_there(tmp_path):
    with pytest.raises(gpu_resnet.FileError, match="missing: does not exist"):
        gpu_resnet.finetune(tmp_path / "missing", output=tmp_path / "run")
    with pytest.raises(gpu_resnet.FileError):
        gpu_resnet.resume(tmp_path / "missing")


def test_a_head_from_features_that_are_there(digits, tmp_path, small):
    """The table that `infer` writes, made here with pyarrow: the same head, to the bit, as from the images."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    paths = sorted(digits.rglob("*.png"))[::-1]
    table = pa.table({
        "id": [str(path) for path in paths],
        "label": [path.parent.name for path in paths],
        "features": list(small.features(paths)),
    })
    table = table.replace_schema_metadata(small.features_metadata)
    pq.write_table(table.slice(0, 10), tmp_path / "a.parquet")
    pq.write_table(table.slice(10), tmp_path / "b.parquet", use_dictionary=False)
    images = gpu_resnet.finetune(digits, output=tmp_path / "images", epochs=3, **OPTIONS)
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    features = gpu_resnet.finetune(features=files, output=tmp_path / "features", epochs=3, **OPTIONS)
    assert images.model.read_bytes() == features.model.read_bytes()
    with pytest.raises(gpu_resnet.FileError, match="features of another network"):
        gpu_resnet.finetune(features=files, output=tmp_path / "other", epochs=1, image_size=32)
    with pytest.raises(gpu_resnet.UsageError, match="give either data or features="):
        gpu_resnet.finetune(digits, features=files)


def test_a_row_with_an_error_is_left_out_as_its_image_is(digits, tmp_path, small):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    data = tmp_path / "data"
    shutil.copytree(digits, data)
    (data / "1" / "0009.png").write_bytes(b"no image")
    paths = sorted(data.rglob("*.png"))
    found = small.outputs(paths)
    table = pa.table({
        "id": [str(path) for path in paths],
        "label": [path.parent.name for path in paths],
        "features": [None if i in found.errors else row for i, row in enumerate(found.features)],
        "error": [found.errors.get(i) for i in range(len(paths))],
    })
    pq.write_table(table.replace_schema_metadata(small.features_metadata), tmp_path / "f.parquet")
    images = gpu_resnet.finetune(data, output=tmp_path / "images", epochs=2, **OPTIONS)
    features = gpu_resnet.finetune(features=tmp_path / "f.parquet", output=tmp_path / "features", epochs=2, **OPTIONS)
    assert images.left_out == features.left_out == 1
    assert images.model.read_bytes() == features.model.read_bytes()


SCRIPT = """
import sys, gpu_resnet
def told(epoch):
    if epoch["epoch"] == 1:
        print("begun", flush=True)
try:
    gpu_resnet.finetune(sys.argv[1], output=sys.argv[2], epochs=1000000, lr=1e-3, weights="resnet20-digits", callback=told)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_ends_a_run_that_can_go_on(digits, tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(digits), str(tmp_path / "run")]
    # Where SIGINT is ignored, as in a shell's background jobs, Python would not raise.
    restore = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=restore)
    try:
        assert child.stdout.readline() == "begun\n"
        child.send_signal(signal.SIGINT)
        sent = time.monotonic()
        assert child.communicate(timeout=20)[0] == "interrupted\n"
        assert child.returncode == 0 and time.monotonic() - sent < 10
    finally:
        child.kill()
    done = len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert gpu_resnet.resume(tmp_path / "run", epochs=done + 1).metrics()[-1]["epoch"] == done + 1
