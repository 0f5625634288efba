//! `verify`'s quick list of cases, on every adapter: each operation forward and backward by the kernels that the adapter uses by default,
//! and one case of other kernels on every second adapter that can run them, with ResNet's shapes and awkward ones (`src/verify/cases`).
//! `verify --suite kernels` runs every case of every kernel, in CI on the same adapters.

use std::sync::Arc;

use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::Conv2dVariant;
use gpu_resnet::verify::case::Case;
use gpu_resnet::verify::cases::{Suite, cases};
use gpu_resnet::verify::check::Checker;
use gpu_resnet::verify::expectations::Expectations;
use gpu_resnet::verify::report::{Direction, Status};
use gpu_resnet::verify::select::Selection;
use pollster::FutureExt as _;

use crate::support::adapters;

#[test]
fn every_case_ends_as_expected() {
    let selection = Selection { suite: Suite::Quick, filter: None, variant: None };
    let mut kernels = cases(Suite::Quick).expect("the list");
    // Whole networks are in tests/networks.rs.
    kernels.retain(|case| case.direction() != Direction::Network);
    // Drivers compile on one core: each adapter has a thread.
    let problems: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = adapters()
            .all()
            .map(|gpu| {
                let mut chosen = selection.cases_on(gpu.report(), &kernels);
                chosen.retain(|case| is_turn(gpu, case));
                scope.spawn(move || adapters().with(gpu, |gpu| problems_of(gpu, &chosen)))
            })
            .collect();
        running.into_iter().flat_map(|thread| thread.join().expect("a verdict")).collect()
    });
    assert!(problems.is_empty(), "{} cases:\n{}", problems.len(), problems.join("\n"));
}

/// Whether `gpu` runs the case's kernel: one that it does not use by default runs on every second adapter that can, since compiling these
/// takes software drivers most of the time.
fn is_turn(gpu: &Arc<Gpu>, case: &Case) -> bool {
    let Some(kernel) = case.variant().filter(|kernel| !Conv2dVariant::usual(gpu.report()).contains(kernel)) else {
        return true;
    };
    let mut able = adapters().all().filter(|gpu| kernel.supported(gpu.report()).is_ok());
    let place = able.position(|other| Arc::ptr_eq(other, gpu));
    let number = Conv2dVariant::ALL.iter().position(|one| *one == kernel).unwrap_or_default();
    let is_alone = place == Some(0) && able.next().is_none();
    is_alone || place.is_none_or(|place| place % 2 == number % 2)
}

/// The cases with an unexpected result.
fn problems_of(gpu: &Arc<Gpu>, cases: &[Case]) -> Vec<String> {
    let expectations = Expectations::load(None).expect("the shipped expectations");
    let (mut checker, mut passed, mut problems) = (Checker::default(), 0, Vec::new());
    for case in cases {
        let mut result = checker.check(gpu, case).block_on().result;
        passed += usize::from(result.status == Status::Pass);
        if result.status != Status::Unsupported {
            result.expectation = expectations.of(gpu.report(), &result.id);
        }
        if result.is_unexpected() {
            let status = result.status.name();
            problems.push(format!("{}: {status}: {}: {}", gpu.report().name, result.id, result.message));
        }
    }
    println!("{} ({:?}): {passed} cases passed", gpu.report().name, gpu.report().backend);
    if passed < 600 {
        problems.push(format!("{}: only {passed} cases passed", gpu.report().name));
    }
    problems
}
