//! The share of the images that one adapter computes.

use std::sync::Arc;

use crate::data::{Augment, Batch, Dataset, Loader, Preprocess};
use crate::error::Result;
use crate::train::epoch_order::EpochOrder;
use crate::train::network_settings::NetworkSettings;
use crate::train::recipe::Settings;

/// Batches that may wait to be computed.
const PREFETCH: usize = 2;

/// Which of the adapters one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

/// The batches of one adapter: of those that the epoch's order is cut into, each `count`-th from the `index`-th on.
pub(in crate::train) struct Share {
    data: Arc<dyn Dataset>,
    preprocess: Preprocess,
    augment: Augment,
    seed: u64,
    order: EpochOrder,
    place: Place,
    /// The epoch and the step that the loader delivers next.
    next: (u64, usize),
    loader: Option<Loader>,
}

impl Share {
    pub fn new(
        data: &Arc<dyn Dataset>,
        preprocess: &Preprocess,
        settings: &Settings,
        network: &NetworkSettings,
        place: Place,
    ) -> Self {
        Self {
            data: data.clone(),
            preprocess: preprocess.clone(),
            augment: network.augment,
            seed: settings.seed,
            order: EpochOrder::new(settings, network, data.len(), place.count),
            place,
            next: (0, 0),
            loader: None,
        }
    }

    pub fn data(&self) -> &dyn Dataset {
        &*self.data
    }

    /// Images of a whole batch.
    pub fn rows(&self) -> usize {
        self.order.rows
    }

    /// How many images and steps an epoch has.
    pub fn length(&self) -> [usize; 2] {
        let EpochOrder { images, rows, .. } = self.order;
        [images, images.div_ceil(rows).div_ceil(self.place.count)]
    }

    /// The batch of step `step` (from 0) of epoch `epoch`; none if the adapter has none in it.
    pub fn batch(&mut self, epoch: u64, step: usize) -> Result<Option<Batch>> {
        if self.next != (epoch, step) || self.loader.is_none() {
            self.loader = self.begin(epoch, step)?;
        }
        self.next = (epoch, step + 1);
        Ok(self.loader.as_mut().and_then(Loader::next))
    }

    /// A loader of the batches of an epoch from step `step` on, if there are any.
    fn begin(&self, epoch: u64, step: usize) -> Result<Option<Loader>> {
        let rows = self.order.rows;
        let order = self.order.of(self.data(), epoch);
        let first = step * self.place.count + self.place.index;
        let own: Vec<usize> = order.chunks(rows).skip(first).step_by(self.place.count).flatten().copied().collect();
        if own.is_empty() {
            return Ok(None);
        }
        let (data, preprocess) = (self.data.clone(), self.preprocess.clone());
        Loader::augmented(data, own, rows, preprocess, PREFETCH, self.augment, self.seed, epoch).map(Some)
    }
}
