//! What a verification found: the file (JSON, schema [`SCHEMA`]), and what people read.

mod file;
mod number;
#[cfg(test)]
mod sample;
mod time;
mod types;

pub use types::{
    AdapterRun, CaseResult, ControlResult, Direction, Expectation, Fingerprint, Peaks, Probe, Report, SCHEMA, Status,
    Verdict,
};
