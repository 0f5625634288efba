//! Features of a data set's images under a frozen backbone: from the cache if they are there, otherwise from the GPU.

use std::sync::Arc;

use rayon::prelude::*;
use web_time::Instant;

use super::feature_values::FeatureValues;
use crate::data::{Dataset, Loader, PIXELS_VERSION};
use crate::error::{Error, Result};
use crate::model::Predictor;
use crate::ops::Precision;
use crate::predict::{Finite, LoadedNetwork, run_batches};
use crate::runtime::Runtime;
use crate::train::{Examples, FeatureCache, Interrupt, LeftOut};

/// Features and labels of the images that could be read, in the data set's order.
pub struct Features {
    /// `[N, C]`, row-major.
    pub features: FeatureValues,
    pub labels: Vec<u32>,
    /// Their numbers in the data set.
    pub indices: Vec<usize>,
    /// The SHA-256 of each image; of features that were computed before, one of all.
    pub keys: Vec<[u8; 32]>,
}

impl Features {
    /// The examples that a head is trained on.
    pub fn examples(&self) -> Examples<'_> {
        Examples { features: &self.features, labels: &self.labels }
    }

    /// The unreadable images of `data`, the data set of these features. Each was reported.
    pub fn unreadable(&self, data: &dyn Dataset) -> Vec<LeftOut> {
        let mut read = self.indices.iter().peekable();
        let missing = (0..data.len()).filter(|i| read.next_if_eq(&i).is_none());
        missing.map(|index| LeftOut { index, name: data.name(index) }).collect()
    }
}

/// Computes features with one network, and keeps them on disk by the images' content.
pub struct Extractor<'a> {
    runtime: &'a Runtime,
    model: &'a LoadedNetwork,
    /// One for each adapter, at least one.
    predictors: Vec<Predictor>,
    cache: FeatureCache,
    interrupt: &'a Interrupt,
}

impl<'a> Extractor<'a> {
    pub fn new(runtime: &'a Runtime, model: &'a LoadedNetwork, batch: u32, interrupt: &'a Interrupt) -> Result<Self> {
        let key = format!(
            "weights {}\narchitecture {}\npixels {PIXELS_VERSION}\npreprocess {}",
            model.weights.sha256(),
            model.architecture.to_json()?,
            serde_json::to_string(&model.preprocess).map_err(|e| Error::file(model.weights.label(), e))?
        );
        // One file may hold several networks.
        let key = match model.weights.prefix() {
            "" => key,
            prefix => format!("{key}\nprefix {prefix}"),
        };
        let key = match runtime.precision {
            Precision::F32 => key,
            other => format!("{key}\nprecision {}", other.name()),
        };
        let cache = FeatureCache::open(&key, model.architecture.features());
        if let Some(warning) = cache.warning() {
            runtime.note(warning);
        }
        Ok(Self { runtime, model, predictors: model.predictors(runtime, batch)?, cache, interrupt })
    }

    /// The first of the adapters.
    pub fn gpu(&self) -> &Arc<crate::gpu::Gpu> {
        self.predictors[0].network().gpu()
    }

    /// The features of `data`; `what` is its name in messages. Computed features are kept even if the user interrupts.
    pub fn extract(&mut self, data: &Arc<dyn Dataset>, what: &str) -> Result<Features> {
        let keys: Vec<Option<[u8; 32]>> = (0..data.len()).into_par_iter().map(|i| data.content_key(i).ok()).collect();
        let known = |key: &Option<[u8; 32]>, cache: &FeatureCache| key.is_some_and(|key| cache.get(&key).is_some());
        let missing: Vec<usize> = (0..data.len()).filter(|&i| !known(&keys[i], &self.cache)).collect();
        let found = data.len() - missing.len();
        if found > 0 {
            self.runtime.note(format!("{found} of {} {what} features are in the cache", data.len()));
        }
        let computed = self.compute(data, missing, &keys, what);
        if let Err(error) = self.cache.save() {
            self.runtime.note(format!("the features could not be kept: {error}"));
        }
        computed?;
        let mut features = Vec::new();
        let mut out = Features {
            features: FeatureValues::Memory(Vec::new()),
            labels: Vec::new(),
            indices: Vec::new(),
            keys: Vec::new(),
        };
        for (i, key) in keys.iter().enumerate() {
            if let Some((key, row)) = key.and_then(|key| Some((key, self.cache.get(&key)?))) {
                features.extend_from_slice(row);
                out.labels.push(data.label(i) as u32);
                out.indices.push(i);
                out.keys.push(key);
            }
        }
        out.features = FeatureValues::Memory(features);
        Ok(out)
    }

    fn compute(
        &mut self,
        data: &Arc<dyn Dataset>,
        missing: Vec<usize>,
        keys: &[Option<[u8; 32]>],
        what: &str,
    ) -> Result<()> {
        let total = missing.len();
        if total == 0 {
            return Ok(());
        }
        let batch = self.predictors.iter().map(Predictor::batch).min().unwrap_or(1).min(total);
        let loader = Loader::new(data.clone(), missing, batch, self.model.preprocess.clone(), 2)?;
        let bar = self.runtime.progress(total as u64, &format!("{what} features"));
        let started = Instant::now();
        let Self { runtime, model, predictors, cache, interrupt } = self;
        let finite = Finite::new(runtime, model);
        let failed = run_batches(runtime, loader, predictors, &*bar, interrupt, |indices, output| {
            for (&i, row) in indices.iter().zip(output.features.chunks(model.architecture.features())) {
                finite.check(&data.name(i), "features", row)?;
                if let Some(key) = keys[i] {
                    cache.insert(key, row);
                }
            }
            cache.save_if_due()
        })?;
        let seconds = started.elapsed().as_secs_f64();
        let done = total - failed;
        runtime.note(format!("{done} {what} features in {seconds:.1} s ({:.1} images/s)", done as f64 / seconds));
        Ok(())
    }
}
