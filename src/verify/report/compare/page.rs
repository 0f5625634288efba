//! The comparison as a page, in the style of a report.

use maud::{Markup, html};

use super::super::html::document;
use super::super::html::words::chip;
use super::super::summary::measure;
use super::{Comparison, Pair};

/// Most rows of one table.
const MOST: usize = 100;

impl Comparison {
    /// The whole page.
    pub fn page(&self) -> String {
        let different: usize = self.pairs.iter().map(|pair| pair.verdicts.len()).sum();
        let common: usize = self.pairs.iter().map(|pair| pair.common).sum();
        let body = html! {
            h1 { "gpu-resnet verify: two reports compared" }
            div class={ "card banner " (if different == 0 { "tone-pass" } else { "tone-warn" }) } {
                strong { @if different == 0 { "Alike" } @else { (different) " verdicts differ" } }
                "Of " (common) " cases that both reports have."
            }
            @for warning in &self.warnings { div class="card case tone-warn" { (warning) "." } }
            @for pair in &self.pairs { (section(pair)) }
        };
        document("gpu-resnet verify: comparison", &body)
    }
}

fn section(pair: &Pair) -> Markup {
    html! {
        section {
            h2 { span class="soft" { "a  " } (pair.names[0]) }
            h2 style="margin-top:0" { span class="soft" { "b  " } (pair.names[1]) }
            p class="soft small" { (pair.common) " cases in both, " (pair.only[0]) " only in a, " (pair.only[1]) " only in b" }
            @if !pair.verdicts.is_empty() { (verdicts(pair)) }
            h3 { "Fingerprint" }
            @if pair.fingerprint.is_empty() { p class="soft" { "All probes have the same answers." } } @else {
                div class="scroll" { table {
                    thead { tr { th { "Probe" } th { "a" } th { "b" } } }
                    tbody { @for difference in &pair.fingerprint {
                        tr { th class="mono" { (difference.name) } td { (difference.values[0]) } td { (difference.values[1]) } }
                    } }
                } }
            }
            h3 { "Speed" }
            @if pair.speed.is_empty() { p class="soft" { "No case was timed in both." } } @else {
                div class="scroll" { table {
                    thead { tr { th { "Operation" } th { "b against a" } th class="number" { "Mean" } th class="number" { "Least" } th class="number" { "Most" } th class="number" { "Cases" } } }
                    tbody { @for op in &pair.speed { tr {
                        th class="mono" { (op.op) }
                        td class="dim" { @if op.mean > 1.05 { "b is faster" } @else if op.mean < 0.95 { "a is faster" } @else { "alike" } }
                        td class="number" { (format!("{:.2}", op.mean)) } td class="number dim" { (format!("{:.2}", op.least)) }
                        td class="number dim" { (format!("{:.2}", op.most)) } td class="number dim" { (op.cases) }
                    } } }
                } }
            }
            @if !pair.errors.is_empty() { (errors(pair)) }
        }
    }
}

fn verdicts(pair: &Pair) -> Markup {
    html! {
        h3 { "Verdicts that differ" }
        div class="scroll" { table {
            thead { tr { th { "a" } th { "b" } th { "Case" } } }
            tbody { @for difference in pair.verdicts.iter().take(MOST) { tr {
                td { (chip(difference.status[0])) } td { (chip(difference.status[1])) }
                th class="wrap" { span class="mono" { (difference.id) }
                    @for (message, which) in difference.messages.iter().zip(["a", "b"]) {
                        @if !message.is_empty() { div class="dim small" { (which) ": " (message) } }
                    }
                }
            } } }
        } }
        @if pair.verdicts.len() > MOST { p class="soft" { "… and " (pair.verdicts.len() - MOST) " more." } }
    }
}

fn errors(pair: &Pair) -> Markup {
    html! {
        details open { summary { "Errors of " (pair.errors.len()) " cases differ" }
            div class="scroll" { table {
                thead { tr { th class="number" { "NMSE of a" } th class="number" { "of b" } th class="number" { "Ratio" } th { "Case" } } }
                tbody { @for error in pair.errors.iter().take(MOST) { tr {
                    td class="number" { (measure(Some(error.nmse[0]))) } td class="number" { (measure(Some(error.nmse[1]))) }
                    td class="number" { (measure(Some(error.ratio))) } th class="mono wrap" { (error.id) }
                } } }
            } }
            @if pair.errors.len() > MOST { p class="soft" { "The " (MOST) " largest changes are shown." } }
        }
    }
}
