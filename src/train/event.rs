//! What training tells while it works.

use super::head_trainer::EpochProgress;
use super::metrics::EpochResult;
use super::network_trainer::TrainingMemory;
use super::recipe::{Choice, Trial};
use crate::error::Error;

/// What [`fit`](super::fit()) and [`fit_network`](super::fit_network) tell while they work.
#[derive(Debug)]
pub enum Event<'e> {
    /// The sweep has tried a learning rate.
    Tried {
        /// How it did.
        trial: &'e Trial,
        /// Which it is, from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// The recipe has decided.
    Chosen(&'e Choice),
    /// Training goes on.
    Resumed {
        /// Epochs that are done.
        epoch: u64,
    },
    /// A chunk of steps is done.
    Progress {
        /// How far the epoch is.
        progress: &'e EpochProgress,
        /// Whether it is of a learning rate that is tried.
        sweep: bool,
        /// How many epochs there will be at most.
        epochs: u64,
    },
    /// The device has what the run needs.
    Planned(TrainingMemory),
    /// An image could not be read.
    Skipped(&'e Error),
    /// An epoch of the run is done, and on disk.
    Epoch(&'e EpochResult),
}
