//! `kernels`: what is listed, with and without a driver that says more.

use super::support::Sandbox;

#[test]
fn every_kernel_of_a_plan_is_listed() {
    let sandbox = Sandbox::new();
    let list = |arguments: &[&str]| -> serde_json::Value {
        let text = sandbox.good(&[&["kernels", "--arch", "resnet20", "--json", "--quiet"], arguments].concat());
        serde_json::from_str(&text).unwrap()
    };
    let names = |report: &serde_json::Value| -> Vec<String> {
        let kernels = report["kernels"].as_array().unwrap();
        kernels.iter().map(|kernel| kernel["name"].as_str().unwrap().to_owned()).collect()
    };
    let inference = list(&[]);
    let found = names(&inference);
    for part in ["conv2d_", "global_avg_pool", "linear", "preprocess"] {
        assert!(found.iter().any(|name| name.starts_with(part)), "{part}: {found:?}");
    }
    assert!(!found.iter().any(|name| name.contains("backward")), "{found:?}");
    assert!(inference["adapter"]["name"].is_string());
    // A driver says a number or nothing.
    for key in
        ["registers", "spills", "scratch_bytes", "workgroup_bytes", "occupancy", "instructions", "hot_loop_fma_share"]
    {
        for kernel in inference["kernels"].as_array().unwrap() {
            assert!(kernel[key].is_null() || kernel[key].as_f64().unwrap() >= 0.0, "{key}: {kernel}");
        }
    }
    let training = names(&list(&["--train", "all", "--batch-size", "2"]));
    for part in ["batch_norm_backward", "conv2d_backward_weight", "adam", "cross_entropy"] {
        assert!(training.iter().any(|name| name.starts_with(part)), "{part}: {training:?}");
    }
    let head = names(&list(&["--train", "head"]));
    assert!(head.iter().any(|name| name.starts_with("linear_backward")), "{head:?}");
    assert!(!head.iter().any(|name| name.starts_with("conv2d")), "{head:?}");
}

#[test]
fn what_can_not_be_listed_is_said() {
    let sandbox = Sandbox::new();
    sandbox.bad(2, "resnet21", &["kernels", "--arch", "resnet21"]);
    let file = sandbox.write("file", b"");
    sandbox.bad(1, "name another folder", &["kernels", "--isa", file.to_str().unwrap()]);
}

#[test]
fn every_kernel_of_the_program_is_listed_or_excluded() {
    let sandbox = Sandbox::new();
    let text = sandbox.good(&["kernels", "--every", "--json", "--quiet"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let named = |list: &str, name: &str| {
        let list = report[list].as_array().unwrap();
        let name_of = |one: &serde_json::Value| one["name"].as_str().or(one["shader"].as_str()).unwrap().to_owned();
        list.iter().filter(|one| name_of(one) == name).count()
    };
    // With both values of the constants POINTWISE and WHOLE, and of variants that no plan takes here.
    assert_eq!((named("kernels", "conv2d_gemm"), named("kernels", "conv2d_register")), (4, 1));
    assert_eq!((named("kernels", "relu"), named("kernels", "adam")), (1, 1));
    let excluded = report["excluded"].as_array().unwrap();
    let emulated = excluded.iter().find(|one| one["shader"] == "conv2d_cooperative_emulated").unwrap();
    assert!(emulated["reason"].as_str().unwrap().contains("only tests use it"), "{emulated}");
    let all = report["kernels"].as_array().unwrap().len() + excluded.len();
    assert!(all >= 200, "{all}");
    sandbox.bad(2, "--every", &["kernels", "--every", "--train", "all"]);
}
