//! What the report says about a run.

use crate::runs::sets::Sets;
use crate::runs::summary::AdapterUse;
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
    /// The adapters that trained it together; empty if there was only one.
    pub adapters: &'a [AdapterUse],
    /// The network in words.
    pub network: String,
}
