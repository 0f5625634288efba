//! The numeric fingerprint of all adapters, one row per probe; differing answers come first.

use maud::{Markup, html};

use super::super::types::{AdapterRun, Fingerprint, Probe, Report};

pub fn section(report: &Report) -> Markup {
    let runs: Vec<(&AdapterRun, &Fingerprint)> =
        report.adapters.iter().filter_map(|run| Some((run, run.fingerprint.as_ref()?))).collect();
    let mut names: Vec<&str> = Vec::new();
    for probe in runs.iter().flat_map(|(_, fingerprint)| &fingerprint.probes) {
        if !names.contains(&probe.name.as_str()) {
            names.push(&probe.name);
        }
    }
    let answers = |name: &str| -> Vec<Option<&Probe>> {
        runs.iter().map(|(_, fingerprint)| fingerprint.probes.iter().find(|probe| probe.name == name)).collect()
    };
    let differ = |name: &&&str| {
        let values: Vec<Option<&str>> = answers(name).iter().map(|probe| probe.map(|p| p.value.as_str())).collect();
        values.windows(2).any(|pair| pair[0] != pair[1])
    };
    let differing: Vec<&str> = names.iter().filter(differ).copied().collect();
    let equal: Vec<&str> = names.iter().filter(|name| !differ(name)).copied().collect();
    let table = |names: &[&str]| {
        html! {
            div class="scroll" { table {
                thead { tr { th { "Probe" } @for (run, _) in &runs { th { (short(run)) } } } }
                tbody { @for name in names { tr {
                    th class="mono" { (name) }
                    @for answer in answers(name) { @match answer {
                        Some(probe) => td { (probe.value) @if runs.len() == 1 { div class="dim small wrap" { (probe.detail) } } },
                        None => td class="dim" { "–" },
                    } }
                } } }
            } }
        }
    };
    html! { @if !runs.is_empty() {
        section {
            h2 { "Numeric fingerprint" }
            p class="soft small" { "How the adapters compute, where the standards leave it open. None of this is a failure." }
            @if runs.len() == 1 {
                details open[names.len() <= 12] { summary { (names.len()) " probes" } (table(&names)) }
            } @else {
                @if differing.is_empty() { p { "The adapters answer all " (names.len()) " probes alike." } }
                @else { (table(&differing)) }
                @if !equal.is_empty() && !differing.is_empty() {
                    details { summary { (equal.len()) " probes that all adapters answer identically" } (table(&equal)) }
                }
            }
        }
    } }
}

/// The names of an adapter and its driver, without parentheses.
fn short(run: &AdapterRun) -> Markup {
    let name = run.adapter.name.split(" (").next().unwrap_or_default();
    let interface = super::words::interface(run);
    html! { (name) div class="dim small" { (interface.split(" (").next().unwrap_or_default()) } }
}
