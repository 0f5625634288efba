"""Training that several actors of a real Ray share: against several adapters of one process, and against itself after a death."""

import os
import pathlib
import signal

import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed")

import gpu_resnet  # noqa: E402
import gpu_resnet.ray  # noqa: E402

# Of 18 images to train on: four batches, two steps an epoch.
UPPER = {"weights": "resnet20-digits", "val_split": 0.25, "lr": 1e-3, "batch_size": 5, "image_size": 16, "tuned": False}
SHARED = {"adapters": [0], "actors": 2}


def actors_of_this_test():
    """The processes of this process's raylets that wait for requests to train, or work on one."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
            parent = int(folder.name)
            while parent > 1 and parent != os.getpid():
                parent = int((pathlib.Path("/proc") / str(parent) / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if title.startswith("ray::_Actor") and "lead" not in title and parent == os.getpid():
            found.append(int(folder.name))
    return found


def test_actors_train_as_adapters_of_one_process_and_go_on_after_a_death(cluster, digits, tmp_path):
    epochs = []

    def kill(epoch):
        epochs.append(epoch)
        for process in actors_of_this_test():
            os.kill(process, signal.SIGKILL)

    output = tmp_path / "shared"
    with pytest.raises(gpu_resnet.Error, match="worker 1 of 1 died; start the job again") as raised:
        gpu_resnet.ray.train(digits, output, epochs=200, lr_schedule="constant", callback=kill, **SHARED, **UPPER)
    assert "\n" not in str(raised.value) and epochs[0]["epoch"] == 1 and len(epochs[0]["adapters"]) == 2
    done = len((output / "metrics.jsonl").read_text().splitlines())
    assert 1 <= done < 200
    with pytest.raises(gpu_resnet.FileError, match="holds a run with other options"):
        gpu_resnet.ray.train(digits, output, epochs=done + 1, **SHARED, **(UPPER | {"lr": 0.5}))
    options = {"epochs": done + 1, "lr_schedule": "constant", **UPPER}
    resumed = gpu_resnet.ray.train(digits, output, **SHARED, **options)
    straight = gpu_resnet.finetune(digits, output=tmp_path / "straight", unfreeze="all", adapter=[0, 0], **options)
    assert resumed.model.read_bytes() == straight.model.read_bytes()
    assert resumed.folder == output and resumed.metrics()[-1]["epoch"] == done + 1
    config = (output / "config.toml").read_text()
    assert "adapters = [" in config and " on " in config


def test_a_network_from_scratch_and_wrong_options(cluster, digits, tmp_path):
    options = {"arch": "resnet20", "image_size": 8, "batch_size": 4, "epochs": 1, "val_split": 0, "tuned": False}
    run = gpu_resnet.ray.train(digits, tmp_path / "scratch", **SHARED, **options)
    assert run.epoch == 1 and run.lr == 0.1 and run.model.is_file()
    for wrong, words in (
        ({"arch": "resnet21"}, "resnet21"),
        ({"unfreeze": "all"}, "unfreeze= is for a network that is trained already"),
        ({"recipe": "notes"}, "knows no option recipe="),
        ({"adapters": ["nothing"], "actors": 1}, "no adapter matches"),
    ):
        with pytest.raises(gpu_resnet.Error, match=words):
            gpu_resnet.ray.train(digits, tmp_path / "wrong", **(SHARED | options | wrong))
    assert not (tmp_path / "wrong").exists()
