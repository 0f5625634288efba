//! The comparison for a terminal.

use std::fmt::Write as _;

use super::super::summary::measure;
use super::{Comparison, Pair};

/// Most lines of one kind.
const MOST: usize = 20;

impl Comparison {
    /// The comparison as lines of text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for warning in &self.warnings {
            // Writing to a string can't fail, here and below.
            let _ = writeln!(out, "warning: {}", clean(warning));
        }
        for pair in &self.pairs {
            if !out.is_empty() {
                out.push('\n');
            }
            write_pair(&mut out, pair);
        }
        out
    }
}

fn write_pair(out: &mut String, pair: &Pair) {
    let _ = writeln!(out, "a: {}\nb: {}", clean(&pair.names[0]), clean(&pair.names[1]));
    let _ = writeln!(out, "   {} cases in both, {} only in a, {} only in b", pair.common, pair.only[0], pair.only[1]);
    section(out, "verdicts that differ", pair.verdicts.len(), "all alike");
    for difference in pair.verdicts.iter().take(MOST) {
        let [a, b] = difference.status.map(|status| status.name());
        let _ = writeln!(out, "   {a:11} {b:11} {}", clean(&difference.id));
        let messages = difference.messages.iter().zip(["a", "b"]).filter(|(message, _)| !message.is_empty());
        for (message, which) in messages {
            let _ = writeln!(out, "   {:23} {which}: {}", "", clean(message));
        }
    }
    more(out, pair.verdicts.len());
    section(out, "fingerprint answers that differ", pair.fingerprint.len(), "all alike");
    for difference in &pair.fingerprint {
        let [a, b] = difference.values.each_ref().map(|value| clean(value));
        let _ = writeln!(out, "   {:34} {a:26} {b}", clean(&difference.name));
    }
    section(out, "errors (NMSE of a, of b, ratio), largest change first", pair.errors.len(), "all equal");
    for error in pair.errors.iter().take(MOST) {
        let [a, b] = error.nmse.map(|nmse| measure(Some(nmse)));
        let _ = writeln!(out, "   {a:>8} {b:>8} {:>8}  {}", measure(Some(error.ratio)), clean(&error.id));
    }
    more(out, pair.errors.len());
    section(out, "speed of b over a (mean, least, most)", pair.speed.len(), "no case was timed in both");
    for op in &pair.speed {
        let _ = writeln!(
            out,
            "   {:28} {:>7.2} {:>7.2} {:>7.2}  {} cases",
            clean(&op.op),
            op.mean,
            op.least,
            op.most,
            op.cases
        );
    }
}

fn section(out: &mut String, title: &str, count: usize, none: &str) {
    let _ = if count == 0 { writeln!(out, "\n{title}: {none}") } else { writeln!(out, "\n{title}: {count}") };
}

fn more(out: &mut String, count: usize) {
    if count > MOST {
        let _ = writeln!(out, "   … and {} more", count - MOST);
    }
}

/// Untrusted text without control characters that a terminal would interpret.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
