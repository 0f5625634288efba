//! The verdict of a report in words.

use super::summary::{Counts, missed, unexpected};
use super::types::{Report, Verdict};

impl Report {
    /// The verdict in a word and in a sentence: `Pass`, `Fail` or `Invalid`, and why.
    pub fn words(&self) -> (&'static str, String) {
        let (_, word, sentence) = verdict(self);
        (word, sentence)
    }
}

/// The verdict in a sentence, and the class of its colour.
pub(super) fn verdict(report: &Report) -> (&'static str, &'static str, String) {
    let cases = Counts::of(report.adapters.iter().flat_map(|run| &run.cases));
    let bad: usize = report.adapters.iter().map(|run| unexpected(run).len()).sum();
    let on = match report.adapters.len() {
        1 => "on one adapter".to_owned(),
        count => format!("on {count} adapters"),
    };
    match report.verdict() {
        Verdict::Pass => ("tone-pass", "Pass", format!("All {} cases {on} ended as expected.", cases.total())),
        Verdict::Fail if cases.total() == 0 => ("tone-fail", "Fail", "No case ran.".to_owned()),
        Verdict::Fail if bad == 0 => ("tone-fail", "Fail", format!("No case could run {on}.")),
        Verdict::Fail => {
            ("tone-fail", "Fail", format!("{bad} of {} cases {on} ended otherwise than expected.", cases.total()))
        }
        Verdict::Invalid => {
            let missed: usize = report.adapters.iter().map(|run| missed(run).count()).sum();
            let why = if missed > 0 {
                format!("{missed} kernels that are broken on purpose were not caught")
            } else {
                "The negative controls did not run to their end".to_owned()
            };
            ("tone-fail", "Invalid", format!("{why}: nothing below can be trusted."))
        }
    }
}
