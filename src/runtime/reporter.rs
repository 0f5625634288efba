//! The receiver of messages from long work: remarks, problems with single inputs, progress.

use std::fmt::Display;

use crate::train::EpochResult;

/// Receives messages from long work. Every method does nothing by default, so the library is silent unless asked.
pub trait Reporter: Send + Sync {
    /// Something that the user should know, one sentence.
    fn note(&self, _text: &dyn Display) {}

    /// A detail, such as how long a part took.
    fn detail(&self, _text: &dyn Display) {}

    /// One bad input among many, which was left out.
    fn complain(&self, _text: &dyn Display) {}

    /// An epoch of a run is done, and on disk.
    fn epoch(&self, _result: &EpochResult) {}

    /// Work of `total` units begins, if the number is known; `what` names it.
    fn progress(&self, _total: Option<u64>, _unit: Unit, _what: &str) -> Box<dyn Progress> {
        Box::new(Silent)
    }
}

/// The unit of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Images, or steps.
    Items,
    /// Bytes of a transfer.
    Bytes,
}

/// The progress of a piece of work. Methods may be called from any thread.
pub trait Progress: Send + Sync {
    /// This many more units are done.
    fn advance(&self, _by: u64) {}

    /// `done` units are done, of `total` if that is known.
    fn set(&self, _done: u64, _total: Option<u64>) {}

    /// Shows a short text about the current work.
    fn describe(&self, _what: &str, _message: &str) {}

    /// Calls `say` to print something while nothing else is drawn.
    fn pause(&self, say: &mut dyn FnMut()) {
        say();
    }

    /// The work has ended.
    fn finish(&self) {}
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {}

impl Progress for Silent {}
