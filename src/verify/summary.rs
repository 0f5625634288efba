//! The summary at the end of a run: cases that ended badly, each with a command that repeats it; then a table of operations.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::report::summary::{Counts, known};
use super::report::{AdapterRun, CaseResult, Report, Status};

/// Failures of one adapter that are shown in full; the rest is in the report.
const SHOWN: usize = 20;

/// The summary of a whole run.
pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    for run in &report.adapters {
        adapter(&mut out, run);
    }
    out
}

// Writing to a string can't fail, here and below.
fn adapter(out: &mut String, run: &AdapterRun) {
    let r = &run.adapter;
    let _ = writeln!(out, "\nadapter {}: {} ({:?}, {} {})", r.index, r.name, r.backend, r.driver, r.driver_info);
    let bad: Vec<&CaseResult> = run.cases.iter().filter(|case| case.is_unexpected()).collect();
    for case in bad.iter().take(SHOWN) {
        let _ = writeln!(out, "  {}  {}", case.status.name().to_uppercase(), case.id);
        if let Some(expectation) = &case.expectation {
            let _ = writeln!(out, "      expected to {}: {}", expectation.expected.name(), expectation.reason);
        }
        if !case.message.is_empty() {
            let _ = writeln!(out, "      {}", case.message);
        }
        let _ = writeln!(out, "      gpu-resnet verify --adapter {} --filter '{}'", r.index, case.id);
    }
    if bad.len() > SHOWN {
        let _ = writeln!(out, "  and {} more; --report has them all", bad.len() - SHOWN);
    }
    for control in run.controls.iter().filter(|control| !control.caught) {
        let word = if control.is_good() { "not shown" } else { "NOT CAUGHT" };
        let _ = writeln!(out, "  {word}  {}: {}", control.name, control.message);
    }
    for case in known(run) {
        if let Some(expectation) = &case.expectation {
            let (status, reason) = (case.status.name(), &expectation.reason);
            let _ = writeln!(out, "  {status} as expected  {}: {reason} {}", case.id, expectation.link);
        }
    }
    table(out, run);
    let counts = Counts::of(&run.cases);
    let counts = Status::ALL.map(|status| (counts.get(status), status.name()));
    let counts: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
    let caught = run.controls.iter().filter(|control| control.caught).count();
    let _ = writeln!(
        out,
        "  {}; {caught} of {} negative controls caught; {:.0} s",
        counts.join(", "),
        run.controls.len(),
        run.seconds
    );
    if run.left_out > 0 {
        let _ = writeln!(out, "  there was no time for {} cases; raise --limit", run.left_out);
    }
}

fn table(out: &mut String, run: &AdapterRun) {
    // Cases, those that passed, and the worst share with its variant.
    let mut rows: BTreeMap<&str, (usize, usize, f64, &str)> = BTreeMap::new();
    for case in run.cases.iter().filter(|case| case.status != Status::Unsupported) {
        let row = rows.entry(&case.op).or_insert((0, 0, 0.0, ""));
        row.0 += 1;
        row.1 += usize::from(case.status == Status::Pass);
        if let Some(share) = case.share.filter(|share| *share > row.2) {
            (row.2, row.3) = (share, &case.id);
        }
    }
    let _ = writeln!(out, "  {:<26} {:>5} {:>5}  {:>9}  used most by", "operation", "cases", "pass", "tolerance");
    for (op, (cases, passed, share, id)) in rows {
        let _ = writeln!(out, "  {op:<26} {cases:>5} {passed:>5}  {:>8.1}%  {id}", 100.0 * share);
    }
}
