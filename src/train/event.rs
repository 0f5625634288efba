//! Progress events of training.

use super::head_trainer::EpochProgress;
use super::metrics::EpochResult;
use super::network_trainer::TrainingMemory;
use super::recipe::{Choice, Trial};
use crate::error::Error;

/// What [`fit`](super::fit()) and [`fit_network`](super::fit_network) report while they work.
#[derive(Debug)]
pub enum Event<'e> {
    /// The sweep has tried a learning rate.
    Tried {
        /// Its result.
        trial: &'e Trial,
        /// Its number, from 1.
        number: usize,
        /// The number of learning rates.
        of: usize,
    },
    /// The recipe has decided.
    Chosen(&'e Choice),
    /// Training resumes.
    Resumed {
        /// Epochs that are done.
        epoch: u64,
    },
    /// A chunk of steps is done.
    Progress {
        /// How far the epoch is.
        progress: &'e EpochProgress,
        /// Whether it belongs to a sweep.
        sweep: bool,
        /// The maximum number of epochs.
        epochs: u64,
    },
    /// The device is set up for the run.
    Planned(TrainingMemory),
    /// An image could not be read.
    Skipped(&'e Error),
    /// An epoch of the run is done, and on disk.
    Epoch(&'e EpochResult),
}
