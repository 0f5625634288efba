//! The kernels for cooperative matrices. On every adapter they run with plain arithmetic in place of the matrices, which tests everything
//! else; where an adapter has cooperative matrices, they run with them.

use std::sync::Arc;

use gpu_resnet::gpu::{AdapterChoice, DeviceOptions, Gpu, list_adapters};
use gpu_resnet::ops::{Conv2dVariant, Precision};
use gpu_resnet::verify::case::Case;
use gpu_resnet::verify::cases::{Suite, cases};
use gpu_resnet::verify::check::Checker;
use gpu_resnet::verify::controls::{self, Control, break_kernel, controls};
use gpu_resnet::verify::report::Status;
use pollster::FutureExt as _;

/// Set by `scripts/test.sh` where it has set up a driver with cooperative matrices: then there must be one.
const EXPECTED: &str = "GPU_RESNET_EXPECT_MATRICES";

fn open_all(emulated_matrices: bool) -> Vec<Arc<Gpu>> {
    let usable = list_adapters(None).block_on().into_iter().filter(|report| report.unusable.is_none());
    let open = |index: usize| {
        let choice = AdapterChoice { adapter: Some(index.to_string()), backend: None };
        Gpu::open_with(&choice, &DeviceOptions { emulated_matrices, ..Default::default() }).block_on().unwrap()
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
        let result = checker.check(gpu, case).block_on().result;
        let able = case.variant().unwrap().supported_in(gpu.report(), case.precision()).is_ok();
        let expected = if able { Status::Pass } else { Status::Unsupported };
        assert!(result.status == expected, "{}: {case}: {}", gpu.report().driver_info, result.message);
        passed += usize::from(able);
    }
    println!("{}: {passed} cases", gpu.report().driver_info);
    passed
}

/// Each piece of the shader once, by the forms that have plain arithmetic in place of the matrices. The other variants differ in constants.
#[test]
fn all_but_the_matrices_is_right() {
    let mut cases = small_cases(3e5);
    cases.retain(|case| {
        let forward = case.operation.name == "conv2d";
        case.precision() == Precision::F32 && (forward || case.variant() == Some(Conv2dVariant::COOPERATIVE_64X64))
            || forward && case.variant() == Some(Conv2dVariant::COOPERATIVE_64X64)
    });
    for gpu in open_all(true) {
        assert!(passed(&gpu, &cases) >= 40, "{}: hardly a case ran", gpu.report().driver_info);
    }
}

/// The negative control: a fault in the emulation is caught.
#[test]
fn a_wrong_sum_is_caught() {
    let mut cases = small_cases(1e6);
    cases.retain(|case| case.to_string() == "conv2d n=1 c=4 h=1 w=63 k=63 kernel=1 bias=true variant=cooperative");
    let [case] = &cases[..] else { panic!("{} cases", cases.len()) };
    for gpu in open_all(true) {
        let fault = "conv2d_cooperative_emulated: result[i] += product( => result[i] += 1.01 * product(";
        break_kernel(&gpu, fault).unwrap();
        let result = Checker::default().check(&gpu, case).block_on().result;
        assert!(result.status == Status::Fail, "{}: {}", gpu.report().name, result.message);
    }
}

/// Runs the kernels with cooperative matrices, and checks that a fault in their sums is caught; `make verify` tries every fault.
fn real(operation: &str, variant: Conv2dVariant, fault: &str) {
    let mut cases = small_cases(1e6);
    cases.retain(|case| case.operation.name == operation && case.variant() == Some(variant));
    let mut adapters = 0;
    for gpu in open_all(false).into_iter().filter(|gpu| variant.supported(gpu.report()).is_ok()) {
        adapters += 1;
        assert!(passed(&gpu, &cases) >= 8, "{}: hardly a case ran", gpu.report().driver_info);
        let named = |control: &&Control| control.breaks == fault && control.case.ends_with(variant.name());
        let caught = controls()
            .iter()
            .filter(named)
            .filter_map(|control| controls::run(&gpu, &control.name).block_on().unwrap());
        assert!(fault.is_empty() || caught.filter(|result| result.caught).count() > 0, "{fault} is not caught");
    }
    assert!(adapters > 0 || std::env::var_os(EXPECTED).is_none(), "no adapter has cooperative matrices");
}

#[test]
fn matrices_are_right_where_there_are_some() {
    real("conv2d", Conv2dVariant::COOPERATIVE_64X64, "what a tile added counts twice");
}

#[test]
fn matrices_of_tall_tiles_are_right() {
    real("conv2d", Conv2dVariant::COOPERATIVE_128X64, "a step is left out between one tile and the next");
}

#[test]
fn matrices_compute_the_input_gradient() {
    real("conv2d_backward_input", Conv2dVariant::COOPERATIVE_64X64, "");
    real("conv2d_backward_input", Conv2dVariant::COOPERATIVE_128X64, "");
}
