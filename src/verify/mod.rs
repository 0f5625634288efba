//! Verification on an unknown machine: every kernel is compared with its twin, and a report is written to send.
//!
//! [`case::Case`] is one test, a line of text; [`cases`] lists them; [`check::Checker`] runs one and judges it; [`controls`] are
//! kernels broken on purpose, which must be caught; [`task`] is what can be asked of an adapter, [`child`] the process that does it, and
//! [`run::Runner`] the parent of one or several; [`expectations`] lists driver bugs; [`fingerprint`] tests how the adapter computes;
//! [`report`] is the result. [`offline`] needs no adapter.

pub mod case;
pub mod cases;
pub mod check;
pub mod child;
pub mod controls;
mod coverage;
pub mod expectations;
pub mod fingerprint;
mod inputs;
pub mod inspect;
pub mod judgement;
pub mod key;
pub mod offline;
mod process;
mod references;
pub mod report;
mod requirements;
pub mod run;
mod schedule;
pub mod select;
mod slope;
mod summary;
pub mod task;
pub mod timing;
mod tolerance;
mod twin;
mod worker;

pub use summary::summary;
