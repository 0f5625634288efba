//! The parts that every step of network training shares: the options, the groups of parameters, and the buffers beside the network.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::network_settings::{BnMode, NetworkSettings};
use super::options::{HeadOptions, Optimizer};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu};
use crate::model::{Architecture, InputKind, ParameterKind, ParameterSpec, PassOptions, TrainableNetwork};

/// The constants of a run.
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    pub head: HeadOptions,
    pub network: NetworkSettings,
    /// The form in which images arrive, and their height and width.
    pub input: InputKind,
    pub size: [usize; 2],
}

impl NetworkOptions {
    /// The pass that a step records.
    pub(super) fn pass(&self, architecture: &Architecture) -> Result<PassOptions> {
        Ok(PassOptions {
            bn_training: self.network.bn == BnMode::Train,
            train_from: self.network.unfreeze.train_from(architecture)?,
            grad_input: false,
            label_smoothing: self.head.label_smoothing,
            recompute: self.network.recompute,
            block_gradients: self.network.log_gradients,
            loss_scale: None,
        })
    }
}

/// Parameters that are updated alike. Their rows of the schedule differ, so each has a buffer for its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub head: bool,
    /// Whether weight decay acts.
    pub decay: bool,
}

impl Group {
    /// The group of the parameter `spec`.
    pub fn of(spec: &ParameterSpec, settings: &NetworkSettings) -> Self {
        let head = matches!(spec.kind, ParameterKind::LinearWeight | ParameterKind::LinearBias);
        let weight = matches!(spec.kind, ParameterKind::LinearWeight | ParameterKind::ConvWeight);
        Self { head, decay: settings.bias_decay || weight }
    }

    /// `optimizer`, but without weight decay where none acts.
    pub fn optimizer(self, optimizer: &Optimizer) -> Optimizer {
        let mut optimizer = *optimizer;
        if !self.decay {
            match &mut optimizer {
                Optimizer::Adam(a) | Optimizer::AdamW(a) => a.weight_decay = 0.0,
                Optimizer::Sgd(a) => a.weight_decay = 0.0,
            }
        }
        optimizer
    }
}

/// Buffers beside the network's own that a step's plan binds.
pub(super) struct Shared {
    pub gpu: Arc<Gpu>,
    pub network: TrainableNetwork,
    pub average: Option<TrainableNetwork>,
    pub moments: BTreeMap<String, Vec<Arc<Buffer>>>,
    pub schedules: BTreeMap<Group, Arc<Buffer>>,
    /// Always zero: each step finds its row of the schedule first.
    pub cursor: Arc<Buffer>,
    /// 1 - decay of the moving average.
    pub rate: Arc<Buffer>,
    /// The state of [`crate::ops::loss_scale`], where gradients are f16.
    pub loss_scale: Option<Arc<Buffer>>,
}
