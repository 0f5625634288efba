//! The order in which an epoch visits the images, and how it is cut into batches.

use super::network_settings::{BnMode, NetworkSettings};
use super::recipe::Settings;
use crate::data::{Dataset, balanced_indices, shuffled_indices};

/// What the order of every epoch follows from.
#[derive(Clone, Debug)]
pub(super) struct EpochOrder {
    /// Images of a batch on one adapter.
    pub rows: usize,
    /// Images of an epoch.
    pub images: usize,
    /// Drawn with [`Settings::seed`].
    seed: u64,
    balance: bool,
}

impl EpochOrder {
    /// The order of `examples` images that `workers` adapters share. Batches are smaller than they were asked for where an adapter would
    /// have none.
    pub fn new(settings: &Settings, network: &NetworkSettings, examples: usize, workers: usize) -> Self {
        let rows = settings.batch_size.min(examples.div_ceil(workers)).max(1);
        // A batch of one image has no variance to normalise by where a feature map is a single pixel.
        let lonely = network.bn == BnMode::Train && rows > 1 && examples % rows == 1;
        let Settings { seed, balance, .. } = *settings;
        Self { rows, images: examples - usize::from(lonely), seed, balance }
    }

    /// The images of `data`, as many as there were examples, in the order of epoch `epoch`.
    pub fn of(&self, data: &dyn Dataset, epoch: u64) -> Vec<usize> {
        let mut order = match self.balance {
            false => shuffled_indices(data.len(), self.seed, epoch),
            true => {
                let labels: Vec<usize> = (0..data.len()).map(|i| data.label(i)).collect();
                balanced_indices(&labels, self.seed, epoch)
            }
        };
        order.truncate(self.images);
        order
    }
}
