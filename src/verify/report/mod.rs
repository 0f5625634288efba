//! The result of a verification: the file (JSON, schema [`SCHEMA`]), and its forms for people.

pub mod compare;
mod file;
#[cfg(feature = "reports")]
pub mod html;
pub mod markdown;
mod number;
mod private;
#[cfg(test)]
mod sample;
pub mod summary;
mod time;
mod types;
mod verdict;

pub use crate::bench::Peaks;
pub use types::{
    AdapterRun, CaseResult, ControlResult, Direction, Expectation, Fingerprint, MAY_HIDE, Probe, Report, SCHEMA,
    Status, Verdict,
};
