//! What the report says about a run.

use crate::runs::sets::Sets;
use crate::train::{EpochResult, RunConfig, RunDir};

/// What a run did.
pub struct FinishedRun<'a> {
    pub command: &'a str,
    pub run: &'a RunDir,
    pub config: &'a RunConfig,
    pub epochs: &'a [EpochResult],
    /// The epoch that model.safetensors is from.
    pub epoch: u64,
    pub stopped_early: bool,
    pub sets: &'a Sets,
    /// The network in words.
    pub network: String,
}
