//! The kernel for cooperative matrices, with plain arithmetic in their place: all of it but the matrices themselves, on every
//! adapter. What passes here says nothing about a driver's matrices; `verify` does, where there are some.

use std::sync::Arc;

use gpu_resnet::gpu::{AdapterChoice, DeviceOptions, Gpu, list_adapters};
use gpu_resnet::ops::Precision;
use gpu_resnet::verify::cases::{Suite, cases};
use gpu_resnet::verify::check::Checker;
use gpu_resnet::verify::controls::break_kernel;
use gpu_resnet::verify::report::Status;

fn emulating() -> Vec<Arc<Gpu>> {
    let usable = list_adapters(None).into_iter().filter(|report| report.unusable.is_none());
    let open = |index: usize| {
        let choice = AdapterChoice { adapter: Some(index.to_string()), backend: None };
        Gpu::open_with(&choice, &DeviceOptions { emulated_matrices: true, ..Default::default() }).unwrap()
    };
    let opened: Vec<_> = usable.map(|report| open(report.index)).collect();
    assert!(!opened.is_empty(), "no usable GPU adapter; run scripts/setup.sh, which installs a software driver");
    opened
}

#[test]
fn all_but_the_matrices_is_right() {
    let mut cases = cases(Suite::Quick).unwrap();
    // Large ones take software drivers seconds and have nothing new.
    cases.retain(|case| case.to_string().ends_with(" variant=cooperative") && (case.operation.flops)(case) < 1e6);
    for gpu in emulating() {
        let (mut checker, mut passed) = (Checker::default(), 0);
        for case in &cases {
            let result = checker.check(&gpu, case).result;
            let able = case.precision() == Precision::F32 || gpu.features().f16;
            let expected = if able { Status::Pass } else { Status::Unsupported };
            assert!(result.status == expected, "{}: {case}: {}", gpu.report().name, result.message);
            passed += usize::from(able);
        }
        println!("{}: {passed} cases", gpu.report().driver_info);
        assert!(passed >= 18, "only {passed} cases");
    }
}

/// The negative control: what the emulation itself does is looked at.
#[test]
fn a_wrong_sum_is_caught() {
    let mut cases = cases(Suite::Quick).unwrap();
    cases.retain(|case| case.to_string() == "conv2d n=1 c=4 h=1 w=31 k=63 kernel=1 bias=true variant=cooperative");
    let [case] = &cases[..] else { panic!("{} cases", cases.len()) };
    for gpu in emulating() {
        break_kernel(&gpu, "conv2d_cooperative_emulated: + channel] = sum; => + channel] = sum + 0.01;").unwrap();
        let result = Checker::default().check(&gpu, case).result;
        assert!(result.status == Status::Fail, "{}: {}", gpu.report().name, result.message);
    }
}
