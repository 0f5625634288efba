//! Environment variables, and the adapter that is taken where they and the options name none.

use super::support::Sandbox;
use super::tiny::network;

#[test]
fn a_value_that_means_nothing_is_wrong_usage_everywhere() {
    let here = Sandbox::new();
    let run = |variables: &[(&str, &str)], arguments: &[&str]| {
        let output = here.command().envs(variables.iter().copied()).args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (name, value, choices) in [
        ("GPU_RESNET_CONV2D", "foo", "one of gemm, "),
        ("GPU_RESNET_BOUNDS_CHECKS", "no", "one of 0, 1"),
        ("GPU_RESNET_TUNE", "no", "one of on, off"),
        ("GPU_RESNET_BACKEND", "foo", "one of vulkan, metal, dx12, gl"),
        ("GPU_RESNET_MIRROR", "foo", "begin it with https://"),
        ("WGPU_BACKEND", "foo", "one of vulkan, metal, dx12, gl"),
    ] {
        for command in [&["weights", "list"][..], &["verify", "--child"]] {
            let (status, said) = run(&[(name, value)], command);
            assert!(status == 2 && said.contains(name) && said.contains(choices), "{command:?}: {status}: {said}");
        }
        assert_eq!(run(&[(name, "")], &["weights", "list"]), (0, String::new()), "{name} is empty");
    }
    // Ours, and options, go before wgpu's.
    assert_eq!(run(&[("WGPU_BACKEND", "foo"), ("GPU_RESNET_BACKEND", "vulkan")], &["weights", "list"]).0, 0);
    assert_eq!(run(&[("GPU_RESNET_BACKEND", "foo")], &["weights", "list", "--backend", "gl"]).0, 0);
    for name in ["GPU_RESNET_ADAPTER", "WGPU_ADAPTER_NAME"] {
        let (status, said) = run(&[(name, "nosuchcard")], &["bench", "--arch", "resnet20"]);
        assert!(status == 4 && said.contains("no adapter matches \"nosuchcard\"; there are: "), "{said}");
    }
}

#[test]
fn a_kernel_that_the_adapter_lacks_is_not_replaced_by_another() {
    let here = Sandbox::new();
    let weights = network(&here, "net.safetensors", 2, |_, _| ());
    let data = here.digits("data", &["0", "1"]);
    let devices: serde_json::Value = serde_json::from_str(&here.good(&["devices", "--json"])).unwrap();
    let variants = devices[0]["variants"].as_array().unwrap();
    for supported in [true, false] {
        let Some(variant) = variants.iter().find(|v| v["supported"] == supported) else { continue };
        let name = variant["variant"].as_str().unwrap();
        let mut command = here.command();
        let command = command.env("GPU_RESNET_CONV2D", name).args(["infer", &data, "--weights", &weights]);
        let output = command.args(["--adapter", "0"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(if supported { 0 } else { 2 }), "{name}: {said}");
        assert_eq!(said.contains(&format!("GPU_RESNET_CONV2D={name}: the adapter")), !supported, "{said}");
    }
}

#[test]
fn a_software_adapter_that_nobody_asked_for_is_said() {
    let here = Sandbox::new();
    let weights = network(&here, "net.safetensors", 2, |_, _| ());
    let data = here.digits("data", &["0", "1"]);
    let run = |variables: &[(&str, &str)], more: &[&str]| {
        let mut command = here.command();
        for name in ["GPU_RESNET_ADAPTER", "GPU_RESNET_BACKEND", "WGPU_ADAPTER_NAME", "WGPU_BACKEND"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied()).args(["infer", &data, "--weights", &weights]).args(more);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        said.lines().filter(|line| line.contains("so the CPU computes")).count()
    };
    let devices: serde_json::Value = serde_json::from_str(&here.good(&["devices", "--json"])).unwrap();
    let first = devices.as_array().unwrap().iter().find(|device| device["unusable"].is_null()).unwrap();
    let software = first["kind"] == "cpu";
    assert_eq!(run(&[], &[]), usize::from(software));
    let (index, backend) = (first["index"].to_string(), first["backend"].as_str().unwrap());
    assert_eq!(run(&[], &["--quiet"]), 0);
    assert_eq!(run(&[], &["--adapter", &index]), 0);
    assert_eq!(run(&[("GPU_RESNET_ADAPTER", &*index)], &[]), 0);
    assert_eq!(run(&[("WGPU_BACKEND", backend)], &[]), 0);
}
