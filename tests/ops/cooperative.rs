//! The kernels for cooperative matrices: with plain arithmetic in the matrices' place on every adapter, which tries all of them but
//! the matrices themselves, and for real where an adapter has some.

use std::sync::Arc;

use gpu_resnet::gpu::{AdapterChoice, DeviceOptions, Gpu, list_adapters};
use gpu_resnet::ops::Conv2dVariant;
use gpu_resnet::verify::case::Case;
use gpu_resnet::verify::cases::{Suite, cases};
use gpu_resnet::verify::check::Checker;
use gpu_resnet::verify::controls::{self, break_kernel, controls};
use gpu_resnet::verify::report::Status;

/// Set by `scripts/test.sh` where it has set up a driver with cooperative matrices: then there must be one.
const EXPECTED: &str = "GPU_RESNET_EXPECT_MATRICES";

fn open_all(emulated_matrices: bool) -> Vec<Arc<Gpu>> {
    let usable = list_adapters(None).into_iter().filter(|report| report.unusable.is_none());
    let open = |index: usize| {
        let choice = AdapterChoice { adapter: Some(index.to_string()), backend: None };
        Gpu::open_with(&choice, &DeviceOptions { emulated_matrices, ..Default::default() }).unwrap()
    };
    let opened: Vec<_> = usable.map(|report| open(report.index)).collect();
    assert!(!opened.is_empty(), "no usable GPU adapter; run scripts/setup.sh, which installs a software driver");
    opened
}

/// The quick suite's cases of these kernels. Large ones take software drivers seconds and have nothing new.
fn small_cases(most_flops: f64) -> Vec<Case> {
    let mut cases = cases(Suite::Quick).unwrap();
    let cooperative = |case: &Case| case.variant().is_some_and(Conv2dVariant::is_cooperative);
    cases.retain(|case| cooperative(case) && (case.operation.flops)(case) < most_flops);
    cases
}

/// Runs `cases` and returns how many the adapter can run: all of those must pass.
fn passed(gpu: &Arc<Gpu>, cases: &[Case]) -> usize {
    let (mut checker, mut passed) = (Checker::default(), 0);
    for case in cases {
        let result = checker.check(gpu, case).result;
        let able = case.variant().unwrap().supported_in(gpu.report(), case.precision()).is_ok();
        let expected = if able { Status::Pass } else { Status::Unsupported };
        assert!(result.status == expected, "{}: {case}: {}", gpu.report().driver_info, result.message);
        passed += usize::from(able);
    }
    println!("{}: {passed} cases", gpu.report().driver_info);
    passed
}

#[test]
fn all_but_the_matrices_is_right() {
    let cases = small_cases(3e5);
    for gpu in open_all(true) {
        assert!(passed(&gpu, &cases) >= 40, "{}: hardly a case ran", gpu.report().driver_info);
    }
}

/// The negative control: what the emulation itself does is looked at.
#[test]
fn a_wrong_sum_is_caught() {
    let mut cases = small_cases(1e6);
    cases.retain(|case| case.to_string() == "conv2d n=1 c=4 h=1 w=63 k=63 kernel=1 bias=true variant=cooperative");
    let [case] = &cases[..] else { panic!("{} cases", cases.len()) };
    for gpu in open_all(true) {
        let fault = "conv2d_cooperative_emulated: result[i] += product( => result[i] += 1.01 * product(";
        break_kernel(&gpu, fault).unwrap();
        let result = Checker::default().check(&gpu, case).result;
        assert!(result.status == Status::Fail, "{}: {}", gpu.report().name, result.message);
    }
}

/// Real matrices, and every fault of their kernels.
#[test]
fn matrices_are_right_where_there_are_some() {
    let mut adapters = 0;
    for gpu in open_all(false) {
        if Conv2dVariant::Cooperative.supported(gpu.report()).is_err() {
            continue;
        }
        adapters += 1;
        assert!(passed(&gpu, &small_cases(1e6)) >= 40, "{}: hardly a case ran", gpu.report().driver_info);
        let mut caught = 0;
        for control in controls().iter().filter(|control| control.shader.contains("_cooperative")) {
            let Some(result) = controls::run(&gpu, &control.name).unwrap() else { continue };
            assert!(controls::is_good(&result), "{}: {}: {}", gpu.report().driver_info, result.name, result.message);
            caught += usize::from(result.caught);
        }
        assert!(caught >= 1, "{}: no fault was tried", gpu.report().driver_info);
    }
    println!("{adapters} adapters have cooperative matrices");
    assert!(adapters > 0 || std::env::var_os(EXPECTED).is_none(), "no adapter has cooperative matrices");
}
