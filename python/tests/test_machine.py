"""`devices` and `verify`."""

import pytest

import gpu_resnet


def test_devices_have_numbers_and_names():
    found = gpu_resnet.devices()
    assert [device["index"] for device in found] == list(range(len(found)))
    assert all({"name", "kind", "driver", "features", "variants"} <= set(device) for device in found)
    with pytest.raises(gpu_resnet.UsageError, match='backend "cuda" is not known'):
        gpu_resnet.devices("cuda")


def test_an_adapter_is_chosen_by_number_and_by_name():
    first = gpu_resnet.devices()[0]
    by_number = gpu_resnet.Classifier("resnet20-digits", adapter=0)
    by_name = gpu_resnet.Classifier("resnet20-digits", adapter=first["name"])
    assert by_number.adapter["index"] == 0 and by_name.adapter["name"] == first["name"]


def test_verify_gives_the_report():
    report = gpu_resnet.verify(filter="^relu count=[1-3]$", jobs=1)
    (run,) = report["adapters"]
    assert report["valid"] and run["controls"] and all(control["caught"] for control in run["controls"])
    assert len(run["cases"]) == 3 and {case["status"] for case in run["cases"]} == {"pass"}
    with pytest.raises(gpu_resnet.UsageError, match="suite"):
        gpu_resnet.verify(suite="everything")
    with pytest.raises(gpu_resnet.UsageError, match="no case is left"):
        gpu_resnet.verify(filter="^nothing$")
