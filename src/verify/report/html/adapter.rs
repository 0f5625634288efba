//! One adapter: what went wrong first, then controls, operations and speed.

use maud::{Markup, html};

use super::super::summary::{known, measure, missed, ops, percent, repro, unexpected, unsupported};
use super::super::types::{AdapterRun, CaseResult, Direction, Report, Status};
use super::roofline;
use super::words::{backend, chip, tone};

/// The most cases that are shown in full; a driver that fails everything usually fails for one reason.
const MOST_CASES: usize = 50;

pub fn section(report: &Report, run: &AdapterRun, index: usize) -> Markup {
    let unexpected = unexpected(run);
    let a = &run.adapter;
    html! {
        section id={ "adapter-" (index) } {
            h2 { (a.name) }
            p class="soft small" {
                (backend(run)) " · " (a.kind) " · " (a.driver) " " (a.driver_info)
                " · " code { (format!("{:04x}:{:04x}", a.vendor, a.device)) }
            }
            @if let Some(why) = &a.unusable { div class="card case tone-fail" { "This adapter can't be used: " (why) "." } }
            @for control in missed(run) {
                div class="card case tone-fail" {
                    header { span class="chip tone-fail" { "not caught" } span class="mono" { (control.name) } }
                    p { "A kernel broken on purpose (" (control.breaks) ") was not noticed: " (control.message) }
                }
            }
            @if !unexpected.is_empty() {
                h3 { "Ended otherwise than expected" }
                @for case in unexpected.iter().take(MOST_CASES) { (case_card(report, run, case)) }
                @if unexpected.len() > MOST_CASES { p class="soft" { "… and " (unexpected.len() - MOST_CASES) " more, in the JSON." } }
            }
            h3 { "Operations" }
            (operations(run))
            @if run.peaks.is_some() || run.cases.iter().any(|case| case.seconds.is_some()) { h3 { "Speed" } (roofline::chart(run)) }
            (known_bugs(run))
            (lacking(run))
            (controls(run))
        }
    }
}

fn case_card(report: &Report, run: &AdapterRun, case: &CaseResult) -> Markup {
    let gone = case.expectation.as_ref().filter(|_| case.status == Status::Pass);
    html! {
        div class={ "card case " (if gone.is_some() { "tone-warn" } else { tone(case.status) }) } {
            header { (chip(case.status)) span class="mono" { (case.id) } }
            @if let Some(expectation) = &case.expectation {
                p { "Expected to end in " (expectation.expected.name()) ": " (expectation.reason) ". " (link(&expectation.link))
                    @if gone.is_some() { " The bug seems to be gone: remove the expectation." } }
            }
            @if !case.message.is_empty() { p { (case.message) } }
            @if case.nmse.is_some() || case.max_abs.is_some() {
                p class="soft small" {
                    "NMSE " (measure(case.nmse)) " of " (measure(case.tolerance)) " allowed · largest error " (measure(case.max_abs))
                    ", relative " (measure(case.max_rel))
                    @if let Some(at) = &case.worst_index { " at " code { (at) } }
                }
            }
            code class="repro" { (repro(report, run, case)) }
        }
    }
}

/// A link, only if it leads to a web page: a report may come from a stranger.
fn link(target: &str) -> Markup {
    html! { @if target.starts_with("https://") { a href=(target) rel="noreferrer" { (target) } } @else { (target) } }
}

fn operations(run: &AdapterRun) -> Markup {
    html! {
        div class="scroll" { table {
            thead { tr {
                th { "Operation" } th class="number" { "Cases" } th class="number" { "Bad" } th class="number" { "Tolerance used" }
                th class="number" { "Worst NMSE" } th class="number" { "Lacking" }
            } }
            tbody { @for op in ops(run) {
                @let share = op.worst_share.unwrap_or(0.0);
                @let over = share.is_nan() || share > 1.0;
                // Most names already say it.
                @let backward = op.direction == Direction::Backward && !op.op.ends_with("backward");
                tr {
                    th { span class="mono" { (op.op) } @if backward { span class="dim small" { " backward" } } }
                    td class="number" { (op.counts.total()) }
                    td class={ "number" @if op.counts.bad() > 0 { " bad" } @else { " dim" } } { (op.counts.bad()) }
                    td class={ "number" @if over { " bad" } } {
                        span class={ "meter " (if over { "tone-fail" } else { "tone-pass" }) } {
                            i style={ "width:" (format!("{:.0}", if over { 100.0 } else { (share * 100.0).clamp(0.0, 100.0) })) "%" } {}
                        }
                        (percent(op.worst_share))
                    }
                    td class="number" { (measure(op.worst_nmse)) }
                    td class="number dim" { (op.counts.get(Status::Unsupported)) }
                }
            } }
        } }
    }
}

fn known_bugs(run: &AdapterRun) -> Markup {
    let known = known(run);
    html! { @if !known.is_empty() {
        details { summary { (known.len()) " cases ended as expected from a known driver bug" }
            div class="scroll" { table { tbody { @for case in known { @if let Some(expectation) = &case.expectation {
                tr { td { (chip(case.status)) } th class="mono wrap" { (case.id) } td class="wrap" { (expectation.reason) " " (link(&expectation.link)) } }
            } } } } }
        }
    } }
}

fn lacking(run: &AdapterRun) -> Markup {
    let unsupported = unsupported(run);
    // One row for each reason.
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for case in &unsupported {
        match reasons.iter_mut().find(|(reason, _)| *reason == case.message) {
            Some((_, count)) => *count += 1,
            None => reasons.push((&case.message, 1)),
        }
    }
    html! { @if !unsupported.is_empty() {
        details { summary { (unsupported.len()) " cases need what the adapter lacks" }
            div class="scroll" { table { tbody { @for (reason, count) in reasons {
                tr { td class="number" { (count) } td class="wrap" { (reason) } }
            } } } }
        }
    } }
}

fn controls(run: &AdapterRun) -> Markup {
    let caught = run.controls.iter().filter(|control| control.caught).count();
    html! {
        details { summary { (caught) " of " (run.controls.len()) " kernels that are broken on purpose were caught" }
            div class="scroll" { table {
                thead { tr { th { "Control" } th { "What is wrong with it" } th { "Caught by" } } }
                tbody { @for control in &run.controls { tr {
                    th class="mono" { (control.name) } td class="wrap" { (control.breaks) }
                    td { @if control.caught { span class="chip tone-pass" { (control.caught_by) } }
                        @else if control.is_good() { span class="chip tone-idle" { "nothing, as may be" } }
                        @else { span class="chip tone-fail" { "nothing" } } }
                } } }
            } }
        }
    }
}
