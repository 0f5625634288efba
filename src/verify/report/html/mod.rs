//! A report as one page, without scripts or external resources, light and dark, for phones and desktops. A report file may come from a
//! stranger; `maud` escapes everything that is put into the page.

mod adapter;
mod environment;
mod fingerprint;
mod roofline;
pub(super) mod words;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::summary::{Counts, known, missed, unexpected};
use super::types::{AdapterRun, Report, Status};
use super::verdict::verdict;
use words::{interface, tone};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn page(report: &Report) -> String {
    let report = &report.clone().redacted();
    let body = html! {
        (summary(report))
        @for index in order(report) { (adapter::section(report, &report.adapters[index], index)) }
        (fingerprint::section(report))
        (environment::section(report))
    };
    document("gpu-resnet verify", &body)
}

/// The adapters as they are shown: those with something wrong first.
fn order(report: &Report) -> Vec<usize> {
    let mut order: Vec<usize> = (0..report.adapters.len()).collect();
    let good = |run: &AdapterRun| unexpected(run).is_empty() && missed(run).next().is_none();
    order.sort_by_key(|&index| good(&report.adapters[index]));
    order
}

/// A page in this style.
pub fn document(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    }
    .into_string()
}

fn summary(report: &Report) -> Markup {
    let (tone, word, sentence) = verdict(report);
    let cases = Counts::of(report.adapters.iter().flat_map(|run| &run.cases));
    let controls = report.adapters.iter().flat_map(|run| &run.controls);
    let (caught, all) = controls.fold((0, 0), |(caught, all), control| (caught + usize::from(control.caught), all + 1));
    let missed: usize = report.adapters.iter().map(|run| missed(run).count()).sum();
    let bad: usize = report.adapters.iter().map(|run| unexpected(run).len()).sum();
    let bugs: usize = report.adapters.iter().map(|run| known(run).len()).sum();
    let seconds: f64 = report.adapters.iter().map(|run| run.seconds).sum();
    html! {
        h1 { "gpu-resnet verify" }
        div class={ "card banner " (tone) } {
            strong { (word) }
            (sentence)
        }
        div class="facts" {
            div class="fact" { b { (cases.get(Status::Pass)) } span { "cases passed" } }
            div class="fact" { b class=[(bad > 0).then_some("bad")] { (bad) } span { "unexpected" } }
            div class="fact" { b { (bugs) } span { "known driver bugs" } }
            div class="fact" { b { (cases.get(Status::Unsupported)) } span { "not supported" } }
            div class="fact" { b class=[(missed > 0).then_some("bad")] { (caught) " of " (all) } span { "controls caught" } }
            div class="fact" { b { (duration(seconds)) } span { "suite " (report.suite) } }
        }
        p class="soft small" {
            (report.created) " · gpu-resnet " (report.crate_version) " on " (report.platform)
            @if let Some(filter) = &report.filter { " · only cases that match " code { (filter) } }
            @for (name, value) in &report.switches { " · " code { (name) "=" (value) } }
        }
        @if report.adapters.len() > 1 { (adapters(report)) }
    }
}

fn adapters(report: &Report) -> Markup {
    html! {
        ul class="adapters" {
            @for index in order(report) {
                @let run = &report.adapters[index];
                @let bad = unexpected(run).len();
                @let missed = missed(run).count();
                li {
                    div { a href={ "#adapter-" (index) } { (run.adapter.name) } div class="dim small" { (interface(run)) } }
                    div { (bar(&Counts::of(&run.cases))) span class="dim small" { (run.cases.len()) " cases" } }
                    div class="small" {
                        @if bad > 0 { span class="bad" { (bad) " unexpected" } } @else { span class="dim" { "all as expected" } }
                        @if missed > 0 { br; span class="bad" { (missed) " controls missed" } }
                    }
                    div class="number dim small" { (duration(run.seconds)) }
                }
            }
        }
    }
}

/// Cases by status, in proportion.
fn bar(counts: &Counts) -> Markup {
    html! {
        div class="bar" {
            @for status in Status::ALL {
                @if counts.get(status) > 0 {
                    i class=(tone(status)) style={ "flex-grow:" (counts.get(status)) } title={ (counts.get(status)) " " (status.name()) } {}
                }
            }
        }
    }
}

fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{whole} s"),
        s if s < 7200.0 => format!("{} min", (s / 60.0).round()),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn the_page_says_what_the_report_says() {
        let report = sample();
        let page = page(&report);
        for part in [
            "Fail",
            "device-lost",
            "relu nan",
            "loops end early",
            "relu-negated",
            "fma.contraction",
            "maxBufferSize",
            "<svg",
        ] {
            assert!(page.contains(part), "the page has no {part}");
        }
        // Failures come before everything else of the adapter.
        assert!(page.find("relu nan").unwrap() < page.find("relu-negated").unwrap());
        let invalid = super::page(&Report { valid: false, ..report.clone() });
        assert!(invalid.contains("Invalid") && invalid.contains("can be trusted"));
        assert!(super::page(&Report { adapters: vec![], ..report }).contains("No case ran."));
    }

    /// Nothing is loaded, run, or taken from a hostile report as markup.
    #[test]
    fn pages_hold_no_foreign_markup() {
        let mut report = sample();
        let hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&";
        let run = &mut report.adapters[0];
        for text in [&mut run.adapter.name, &mut run.adapter.driver, &mut run.adapter.driver_info] {
            *text = hostile.into();
        }
        for case in &mut run.cases {
            (case.id, case.message, case.op, case.variant) =
                (hostile.into(), hostile.into(), hostile.into(), hostile.into());
            case.worst_index = Some(hostile.into());
            if let Some(expectation) = &mut case.expectation {
                expectation.reason = hostile.into();
                expectation.link = format!("javascript:{hostile}");
            }
        }
        for control in &mut run.controls {
            (control.name, control.breaks, control.caught_by) = (hostile.into(), hostile.into(), hostile.into());
        }
        let fingerprint = run.fingerprint.as_mut().unwrap();
        fingerprint.probes[0] =
            super::super::types::Probe { name: hostile.into(), value: hostile.into(), detail: hostile.into() };
        run.capabilities.features = vec![hostile.into()];
        run.capabilities.limits.insert(hostile.into(), 1);
        (report.suite, report.created, report.filter) = (hostile.into(), hostile.into(), Some(hostile.into()));
        report.switches.insert(hostile.into(), hostile.into());
        report.shader_hashes.insert(hostile.into(), hostile.into());
        let page = page(&report);
        assert!(page.contains("&lt;script&gt;"), "the text itself is shown");
        for forbidden in
            ["<script", "<img", "onerror=alert(1)>", "href=\"javascript:", "http://", "<link", "@import", "url("]
        {
            assert!(!page.contains(forbidden), "the page holds {forbidden}");
        }
    }
}
