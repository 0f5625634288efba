//! The kernel for cooperative matrices, with plain arithmetic in their place: all of it but the matrices themselves, on every
//! adapter. What passes here says nothing about a driver's matrices; `verify` does, where there are some.

use std::sync::Arc;

use gpu_resnet::gpu::{AdapterChoice, DeviceOptions, Gpu, list_adapters};
use gpu_resnet::ops::Precision;
use gpu_resnet::verify::cases::{Suite, cases};
use gpu_resnet::verify::check::Checker;
use gpu_resnet::verify::controls::broken;
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
    cases.retain(|case| case.to_string().ends_with(" variant=cooperative"));
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
        assert!(passed >= 25, "only {passed} cases");
    }
}

#[test]
fn a_step_too_many_is_caught() {
    let mut cases = cases(Suite::Quick).unwrap();
    cases.retain(|case| case.to_string() == "conv2d n=1 c=4 h=1 w=31 k=63 kernel=1 bias=true variant=cooperative");
    let [case] = &cases[..] else { panic!("{} cases", cases.len()) };
    for gpu in emulating() {
        let name = "conv2d_cooperative";
        let text = broken("conv2d_cooperative_emulated", "if row < steps4 * 4u {", "if row < steps4 * 4u + 4u {");
        gpu.substitute(name, Some(text.unwrap()));
        let result = Checker::default().check(&gpu, case).result;
        assert!(result.status == Status::Pass, "zero activations hide it: {}", result.message);
        let text = broken("conv2d_cooperative_emulated", "if step4 >= steps4 {", "if step4 > steps4 {");
        gpu.substitute(name, Some(text.unwrap()));
        let result = Checker::default().check(&gpu, case).result;
        gpu.substitute(name, None);
        assert!(result.status == Status::Pass, "zero weights hide it: {}", result.message);
        let text = broken(
            "conv2d_cooperative_emulated",
            "channel = column * SIDE + (invocation * OWN + i) % SIDE;\n        sums",
            "channel = column * SIDE + (invocation * OWN + i + 1u) % SIDE;\n        sums",
        );
        gpu.substitute(name, Some(text.unwrap()));
        let result = Checker::default().check(&gpu, case).result;
        gpu.substitute(name, None);
        assert!(result.status == Status::Fail, "a sum in the wrong place passed");
    }
}
