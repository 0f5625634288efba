use std::collections::HashSet;

use gpu_resnet::gpu::{AdapterChoice, Gpu, list_adapters};
use gpu_resnet::ops::Conv2dVariant;
use gpu_resnet::verify::case::Case;
use gpu_resnet::verify::cases::{Suite, cases};
use gpu_resnet::verify::controls::{self, Control, controls};
use gpu_resnet::verify::report::Direction;
use gpu_resnet::verify::select::Selection;
use pollster::FutureExt as _;

fn selected(filter: &str) -> Vec<Case> {
    Selection { suite: Suite::Quick, filter: Some(filter.into()), variant: None }.cases().unwrap()
}

#[test]
fn lines_say_everything() {
    for suite in [Suite::Quick, Suite::Kernels, Suite::Full] {
        let all = cases(suite).unwrap();
        let mut lines = HashSet::new();
        for case in &all {
            let line = case.to_string();
            assert!(Case::parse(&line).unwrap() == *case, "{line}");
            assert!(lines.insert(line.clone()), "{line} is there twice");
        }
        let count = |direction| all.iter().filter(|case| case.direction() == direction).count();
        let [forward, backward, network] = [Direction::Forward, Direction::Backward, Direction::Network].map(count);
        println!("{suite:?}: {forward} forward, {backward} backward, {network} networks");
        assert!(forward > 200 && backward > 200 && network > 20);
    }
}

#[test]
fn a_pasted_line_chooses_its_case_alone() {
    for case in cases(Suite::Quick).unwrap().iter().step_by(17) {
        assert_eq!(selected(&case.to_string()), std::slice::from_ref(case));
    }
    // The first line is the beginning of others.
    assert_eq!(selected("relu count=2").len(), 1);
    assert!(selected("^relu count=2").len() > 1);
    // The order of keys does not matter, and a case need not be listed.
    assert_eq!(selected("add values=zeros count=77")[0].to_string(), "add count=77 values=zeros");
    assert_eq!(selected("hook kind=crash").len(), 1);
}

#[test]
fn lines_that_are_none_are_refused() {
    for (line, word) in [
        ("", "no operation"),
        ("flip count=3", "no operation"),
        ("relu", "count is missing"),
        ("relu count=-1", "count can't be"),
        ("relu count=3 count=3", "twice"),
        ("relu count=3 colour=red", "no key"),
        ("relu count", "KEY=VALUE"),
        ("relu count=3 values=odd", "values can't be"),
        ("relu count=3 scale=nan", "scale can't be"),
        ("conv2d n=1 c=1 h=1 w=1 k=1 kernel=1 variant=best", "variant can't be"),
    ] {
        let problem = Case::parse(line).unwrap_err().to_string();
        assert!(problem.contains(word), "{line}: {problem}");
    }
    let nothing = Selection { suite: Suite::Quick, filter: Some("no such thing".into()), variant: None };
    assert!(nothing.cases().is_err());
}

fn quick() -> Selection {
    Selection { suite: Suite::Quick, filter: None, variant: None }
}

/// Broken kernels are caught, by each of the checks. (All controls on every adapter are `verify --suite kernels`: compiling them
/// takes minutes.)
#[test]
fn each_check_catches_a_broken_kernel() {
    let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
    for (name, check) in [
        ("relu: the last values are never written", "unwritten"),
        ("add: four values too many are written", "guard"),
        ("relu: NaN becomes zero", "tolerance"),
        ("batch_norm: the epsilon is ten times too large", "tolerance"),
        ("relu_backward: the gradient passes a ReLU that is off", "tolerance"),
    ] {
        let result = controls::run(&gpu, name).block_on().unwrap().unwrap_or_else(|| panic!("{name} could not run"));
        assert_eq!((result.caught, result.caught_by.as_str()), (true, check), "{name}: {}", result.message);
    }
}

/// The quick suite leaves out kernels, not kinds of faults: each that any kernel can show is shown by one.
#[test]
fn the_quick_suite_shows_every_shared_fault_once() {
    let all = cases(Suite::Quick).unwrap();
    for adapter in list_adapters(None).block_on() {
        let chosen = quick().controls_on(&adapter, &all);
        let able = |control: &&Control| {
            let case = Case::parse(&control.case).unwrap();
            case.variant().is_none_or(|variant| variant.supported_in(&adapter, case.precision()).is_ok())
        };
        for control in controls().iter().filter(|control| control.shared).filter(able) {
            let shown = chosen.iter().filter(|chosen| chosen.breaks == control.breaks && chosen.shared).count();
            assert!(shown >= 1, "{}: nothing shows that {}", adapter.name, control.breaks);
        }
        // Faults of operations with one kernel are all there.
        let single = |control: &&Control| Case::parse(&control.case).unwrap().variant().is_none();
        let missing = controls().iter().filter(single).find(|control| !chosen.iter().any(|c| c.name == control.name));
        assert!(missing.is_none(), "{missing:?}");
        assert!(chosen.len() < controls().len() * 2 / 3, "{} controls are not quick", chosen.len());
    }
}

#[test]
fn the_quick_suite_has_every_operation_and_every_kernel_that_can_run() {
    let all = cases(Suite::Quick).unwrap();
    for adapter in list_adapters(None).block_on() {
        let chosen = quick().cases_on(&adapter, &all);
        println!("{}: {} of {} cases", adapter.name, chosen.len(), all.len());
        assert!(chosen.len() < all.len() * 2 / 3);
        let kinds = |cases: &[Case]| -> HashSet<(&str, Option<&str>)> {
            cases.iter().map(|case| (case.operation.name, case.variant().map(|variant| variant.name()))).collect()
        };
        assert_eq!(kinds(&all), kinds(&chosen));
        // The kernels that plans take have all of their cases.
        for variant in Conv2dVariant::usual(&adapter) {
            let of = |cases: &[Case]| cases.iter().filter(|case| case.variant() == Some(variant)).count();
            assert_eq!(of(&all), of(&chosen), "{}: {}", adapter.name, variant.name());
        }
        // What is asked for by name is not thinned out.
        let named = Selection { variant: Some("register".into()), ..quick() };
        assert_eq!(named.cases_on(&adapter, &all), all);
    }
}
