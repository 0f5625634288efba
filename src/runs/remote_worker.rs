//! An adapter in another process than the run's, which computes its share of each step.

use serde::{Deserialize, Serialize};

use super::adapters::name;
use super::sets::{DataChoice, Sets, open_parts};
use crate::data::Preprocess;
use crate::error::{Error, Result};
use crate::model::Architecture;
use crate::ops::Precision;
use crate::runtime::Runtime;
use crate::train::data_parallel::{Part, Place, StepRequest, Worker};
use crate::train::{Interrupt, NetworkFit, RunConfig, Tensors, Unreadable, same_images, sample_images};
use crate::tune::first::Purpose;

/// What a worker must know of the run, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct WorkerJob {
    pub config: RunConfig,
    /// Its JSON, with the number of classes.
    pub architecture: String,
    pub preprocess: String,
    /// The images that are left out.
    pub unreadable: Unreadable,
    /// How many adapters there are, the first one included.
    pub adapters: usize,
}

impl WorkerJob {
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::Usage(format!("the run can't be told to its workers: {e}")))
    }
}

/// A worker, opened by what [`RemoteWorkers::begin`](crate::train::data_parallel::RemoteWorkers::begin) was given.
pub struct RemoteWorker {
    worker: Worker,
    adapter: String,
}

impl RemoteWorker {
    /// Opens the data and the adapter of `runtime` for the worker number `index` (from 0) of `job`; `state` has the network's tensors.
    ///
    /// # Errors
    /// Data that differs from the run's, and an adapter that can't be used.
    pub fn open(job: &str, state: &[f32], index: usize, runtime: &Runtime) -> Result<Self> {
        let job: WorkerJob =
            serde_json::from_str(job).map_err(|e| Error::Usage(format!("the worker's job can't be read: {e}")))?;
        let config = &job.config;
        let architecture = Architecture::from_json(&job.architecture)?;
        let preprocess = Preprocess::from_json(&job.preprocess)?;
        let sets = open_sets(runtime, &job)?;
        let precision = config.network.as_ref().map_or(Precision::F32, |network| network.precision);
        let image_size = preprocess.crop as usize;
        let purpose = Purpose { architecture: &architecture, image_size, train: true, precision };
        let gpu = runtime.gpu_for(&purpose)?;
        precision.check(gpu.report())?;
        let fit = NetworkFit {
            gpu: &gpu,
            architecture: &architecture,
            weights: &tensors(&architecture, state)?,
            preprocess: &preprocess,
            train: sets.train,
            val: None,
            resume: false,
            interrupt: &Interrupt::new(),
            save: &|_, _| Ok(()),
        };
        let worker = fit.worker(&gpu, config, Place { index: index + 1, count: job.adapters })?;
        Ok(Self { worker, adapter: name(gpu.report()) })
    }

    /// What its adapter is called.
    pub fn adapter(&self) -> &str {
        &self.adapter
    }

    /// Its part of a step.
    ///
    /// # Errors
    /// See [`Worker::gradients`].
    pub fn gradients(&mut self, request: &StepRequest) -> Result<Part> {
        self.worker.gradients(request)
    }
}

/// The run's images, which must be the same ones here.
fn open_sets(runtime: &Runtime, job: &WorkerJob) -> Result<Sets> {
    let RunConfig { command, training, classes, images, .. } = &job.config;
    let choice: DataChoice =
        command.clone().try_into().map_err(|e| Error::Usage(format!("the worker's data is not named: {e}")))?;
    let all = open_parts(runtime, &choice, training.seed)?;
    if all.train.classes() != classes {
        return Err(Error::file(
            &choice.data,
            "has other classes here than where the run began; give each node the same data",
        ));
    }
    let sets = all.without(&job.unreadable)?;
    if !same_images(images, &sample_images(&*sets.train)) {
        return Err(Error::file(
            &choice.data,
            "has other images here than where the run began; give each node the same data",
        ));
    }
    Ok(sets)
}

/// All tensors of a network as one list of values, in the order of its state dict.
pub(super) fn flat(architecture: &Architecture, tensors: &dyn crate::model::TensorSource) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for spec in architecture.parameters() {
        all.extend_from_slice(&tensors.tensor(&spec.name)?);
    }
    Ok(all)
}

fn tensors(architecture: &Architecture, state: &[f32]) -> Result<Tensors> {
    let (mut tensors, mut rest) = (Tensors::default(), state);
    for spec in architecture.parameters() {
        let Some((own, others)) = rest.split_at_checked(spec.len()) else {
            return Err(Error::shape("a worker's network", format!("{} values are too few", state.len())));
        };
        tensors.0.insert(spec.name, own.to_vec());
        rest = others;
    }
    match rest.len() {
        0 => Ok(tensors),
        more => Err(Error::shape("a worker's network", format!("{more} values are too many"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::fresh;

    #[test]
    fn a_network_comes_back_from_its_values() {
        let architecture = Architecture::named("resnet20").unwrap();
        let start = fresh(&architecture, 3);
        let values = flat(&architecture, &start).unwrap();
        assert_eq!(tensors(&architecture, &values).unwrap(), start);
        assert!(tensors(&architecture, &values[1..]).is_err());
        assert!(tensors(&architecture, &[&values[..], &[0.0]].concat()).is_err());
    }
}
