//! The list of cases that `verify` runs, on every adapter: each operation forward and backward, each variant, ResNet's
//! shapes and awkward ones (`src/verify/cases`).

use gpu_resnet::gpu::shaders;
use gpu_resnet::verify::cases::{Suite, cases};
use gpu_resnet::verify::check::Checker;
use gpu_resnet::verify::expectations::Expectations;
use gpu_resnet::verify::report::{Direction, Status};

use crate::support::adapters;

#[test]
fn every_case_ends_as_expected() {
    let adapters = adapters();
    let expectations = Expectations::load(None).expect("the shipped expectations");
    let mut checker = Checker::default();
    let (mut passed, mut problems) = (vec![0; adapters.len()], Vec::new());
    // Whole networks are in tests/networks.rs.
    let kernels = cases(Suite::Quick).expect("the list").into_iter();
    for case in kernels.filter(|case| case.direction() != Direction::Network) {
        for (gpu, passed) in adapters.iter().zip(&mut passed) {
            let mut result = checker.check(gpu, &case).result;
            *passed += usize::from(result.status == Status::Pass);
            if result.status != Status::Unsupported {
                result.expectation = expectations.of(gpu.report(), &result.id);
            }
            if result.is_unexpected() {
                let status = result.status.name();
                problems.push(format!("{}: {status}: {}: {}", gpu.report().name, result.id, result.message));
            }
        }
    }
    for (gpu, passed) in adapters.iter().zip(&passed) {
        println!("{}: {passed} cases passed", gpu.report().name);
    }
    // Every shader is run by some case, but those that measure: a new kernel can't be forgotten.
    // What needs cooperative matrices is in ops/cooperative.rs.
    let measures = |name: &str| {
        let elsewhere = ["peak", "fingerprint/", "conv2d_cooperative"];
        elsewhere.iter().any(|start| name.starts_with(start))
    };
    for gpu in adapters.iter() {
        // What was asked for, and the wide form where that ran in its place.
        let mut compiled: Vec<&str> = gpu.compiled().iter().map(|spec| spec.shader).collect();
        compiled.extend(gpu.compiled_shaders());
        let sized = |name: &str| {
            let lanes = if name.contains("subgroup4") { 4 } else { 8 };
            gpu.report().subgroup_size == [lanes, lanes]
        };
        let shaders = shaders::all().iter().filter(|shader| {
            let uses = |part| shader.source.contains(part);
            (!shader.subgroups || sized(shader.name))
                && (!uses("enable f16;") || gpu.features().f16)
                && (!uses("u64") || gpu.features().int64)
        });
        // Only software drivers take the wide form of a kernel that has both.
        let forms = |name: &&str| {
            let plain = name.strip_suffix("_wide").is_some_and(|plain| compiled.contains(&plain));
            gpu.report().kind == "cpu" || !plain
        };
        let unused = shaders.map(|shader| shader.name).filter(|name| !measures(name) && !compiled.contains(name));
        let unused = unused.filter(forms);
        let unused: Vec<&str> = unused.collect();
        assert!(unused.is_empty(), "no case runs {unused:?} on {}", gpu.report().name);
    }
    assert!(problems.is_empty(), "{} cases:\n{}", problems.len(), problems.join("\n"));
    assert!(passed.iter().all(|&passed| passed > 700), "{passed:?} cases passed");
}
