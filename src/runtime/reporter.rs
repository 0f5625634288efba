//! Who hears what long work has to say: remarks, problems with single inputs, progress.

use std::fmt::Display;

use crate::train::EpochResult;

/// Hears what long work has to say. Every method does nothing unless it is written: a library speaks only where it is asked to.
pub trait Reporter: Send + Sync {
    /// Something that the user should know, one sentence.
    fn note(&self, _text: &dyn Display) {}

    /// Something that only somebody who looks closely wants to know: how long a part took.
    fn detail(&self, _text: &dyn Display) {}

    /// One bad input among many, which was left out.
    fn complain(&self, _text: &dyn Display) {}

    /// An epoch of a run is done, and on disk.
    fn epoch(&self, _result: &EpochResult) {}

    /// Work begins of `total` units, if it is known how many; `what` names it.
    fn progress(&self, _total: Option<u64>, _unit: Unit, _what: &str) -> Box<dyn Progress> {
        Box::new(Silent)
    }
}

/// What progress is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Images, or steps.
    Items,
    /// Bytes of a transfer.
    Bytes,
}

/// How far a piece of work is. Methods may be called from any thread.
pub trait Progress: Send + Sync {
    /// So many units more are done.
    fn advance(&self, _by: u64) {}

    /// `done` units are done, of `total` if that is known.
    fn set(&self, _done: u64, _total: Option<u64>) {}

    /// Names what is done now, and says how it goes.
    fn describe(&self, _what: &str, _message: &str) {}

    /// Says something by `say` while nothing else is drawn.
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
