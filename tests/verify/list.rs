use std::collections::HashSet;

use gpu_resnet::gpu::{AdapterChoice, Gpu};
use gpu_resnet::verify::case::Case;
use gpu_resnet::verify::cases::{Suite, cases};
use gpu_resnet::verify::controls::{self, controls};
use gpu_resnet::verify::report::Direction;
use gpu_resnet::verify::select::Selection;

fn selected(filter: &str) -> Vec<Case> {
    Selection { suite: Suite::Quick, filter: Some(filter.into()), variant: None }.cases().unwrap()
}

#[test]
fn lines_say_everything() {
    for suite in [Suite::Quick, Suite::Full] {
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

/// Broken kernels are caught. (On the other adapters `verify --all-adapters` sees to it: compiling them all takes a while.)
#[test]
fn every_control_is_caught() {
    let gpu = Gpu::open(&AdapterChoice::default()).expect("an adapter; scripts/setup.sh installs one");
    let mut caught = 0;
    for control in controls() {
        let Some(result) = controls::run(&gpu, &control.name).unwrap() else { continue };
        println!("{}: {} {}", control.name, result.caught_by, result.message);
        assert!(result.caught || control.may_hide, "{}: {}", control.name, result.message);
        caught += 1;
    }
    assert!(caught >= 25, "only {caught} controls ran");
}
