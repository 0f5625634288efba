//! What a campaign counted, as rows for the table of docs/internals/reliability.md; scripts/campaigns.sh collects them.

use std::fmt::Display;

/// A row: what was tried, and how often with which ends. Whatever failed ends the test instead.
pub fn row(what: &str, counts: impl Display) {
    println!("\nROW| {what} | {counts}");
}
