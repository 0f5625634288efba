//! Verification on a machine that nobody has seen: every kernel against its twin, and a report to send.

pub mod report;
