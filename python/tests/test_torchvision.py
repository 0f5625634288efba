"""Agreement with torchvision: the same state dict, the same PIL images."""

import json

import numpy as np
import pytest
from conftest import TREE, read_safetensors, write_safetensors
from PIL import Image

import gpu_resnet
import hashed


@pytest.fixture(scope="module")
def reference():
    return read_safetensors(TREE / "python" / "tests" / "torchvision.safetensors")


@pytest.fixture(scope="module")
def classifier(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    write_safetensors(path, hashed.state_dict(json.loads(reference[1]["shapes"])))
    return gpu_resnet.Classifier(path)


def test_pil_images_give_torchs_logits_and_features(classifier, reference):
    tensors, metadata = reference
    images = [Image.open(TREE / "tests" / "golden" / "photos" / name) for name in json.loads(metadata["photos"])]
    found = classifier.outputs(images)
    assert not found.errors
    for name, values in (("logits", found.logits), ("features", found.features)):
        expected = tensors[name]
        assert values.shape == expected.shape and values.dtype == np.float32
        assert np.abs(values - expected).max() <= 1e-4 * np.abs(expected).max(), name
    best = classifier.classify(images, top_k=3)
    assert np.array_equal(best.index, np.argsort(-tensors["logits"], axis=1)[:, :3])


def test_architecture_and_labels(classifier):
    assert classifier.architecture["block"] == "basic" and classifier.architecture["depths"] == [2, 2, 2, 2]
    assert len(classifier.labels) == 1000 and classifier.feature_count == 512 and classifier.image_size == 224
    assert "resnet18" in repr(classifier)
