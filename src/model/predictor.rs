//! A network applied to any number of images: picks the batch, keeps its plans, and halves the batch when memory runs out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::InputKind;
use super::forward::{Forward, Output, Pending};
use super::network::Network;
use crate::error::{Error, Result};

/// Runs a network on images of one size.
pub struct Predictor {
    network: Arc<Network>,
    kind: InputKind,
    size: [usize; 2],
    batch: usize,
    plans: HashMap<usize, Forward>,
    warning: Option<String>,
    jobs: VecDeque<Job>,
}

/// Submitted images and their passes in flight.
struct Job {
    pixels: Vec<u8>,
    /// Their passes in order; none if memory did not suffice to start them beside earlier ones.
    passes: Option<Vec<Pending>>,
}

impl Predictor {
    /// `size` is the images' height and width; `batch` the most that one run takes, less if the adapter can't bind it.
    pub fn new(network: Arc<Network>, kind: InputKind, size: [usize; 2], batch: usize) -> Result<Self> {
        let most = Forward::max_batch(&network, kind, size)?;
        let warning = (batch > most).then(|| {
            format!("a batch of {batch} does not fit the adapter's largest binding; {most} images are run at a time")
        });
        Ok(Self {
            network,
            kind,
            size,
            batch: batch.clamp(1, most),
            plans: HashMap::new(),
            warning,
            jobs: VecDeque::new(),
        })
    }

    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The most images of one run.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// A message for the user, once: that the batch became smaller.
    pub fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    /// Any number of images as HWC RGB bytes.
    pub async fn run_pixels(&mut self, pixels: &[u8]) -> Result<Output> {
        self.run(pixels, Forward::run_pixels).await
    }

    /// Any number of images as NCHW floats.
    pub async fn run_tensor(&mut self, input: &[f32]) -> Result<Output> {
        self.run(input, Forward::run_tensor).await
    }

    /// Uploads any number of images as HWC RGB bytes and submits their pass, while the device may still compute those submitted
    /// before. [`Self::receive`] returns the outputs, in the order of the submits.
    pub async fn submit_pixels(&mut self, pixels: Vec<u8>) -> Result<()> {
        let passes = match self.start(&pixels).await {
            Ok(passes) => Some(passes),
            Err(Error::OutOfMemory(_)) => None,
            Err(error) => return Err(error),
        };
        self.jobs.push_back(Job { pixels, passes });
        Ok(())
    }

    /// The outputs of the oldest images in flight; none if there are none.
    pub async fn receive(&mut self) -> Result<Option<Output>> {
        let Some(Job { pixels, passes }) = self.jobs.pop_front() else { return Ok(None) };
        let finished = match passes {
            Some(passes) => Some(finish(passes).await),
            None => None,
        };
        match finished {
            Some(Ok(out)) => Ok(Some(out)),
            // Try again alone, in smaller batches if necessary.
            None | Some(Err(Error::OutOfMemory(_))) => self.run_pixels(&pixels).await.map(Some),
            Some(Err(error)) => Err(error),
        }
    }

    async fn start(&mut self, pixels: &[u8]) -> Result<Vec<Pending>> {
        let image = self.image(pixels.len())?;
        let mut passes = Vec::new();
        for part in pixels.chunks(self.batch * image) {
            passes.push(self.plan(part.len() / image)?.start_pixels(part).await?);
        }
        Ok(passes)
    }

    /// Values of one image; an error if `values` are not a whole number of images.
    fn image(&self, values: usize) -> Result<usize> {
        let image = self.size[0] * self.size[1] * 3;
        if values.is_multiple_of(image) {
            return Ok(image);
        }
        Err(Error::shape("predict", format!("{values} values are not a whole number of images of {image}")))
    }

    async fn run<T>(
        &mut self,
        input: &[T],
        step: impl AsyncFn(&mut Forward, &[T]) -> Result<Output>,
    ) -> Result<Output> {
        let image = self.image(input.len())?;
        let mut out = Output::default();
        let mut rest = input;
        while !rest.is_empty() {
            let count = self.batch.min(rest.len() / image);
            let result = match self.plan(count) {
                Ok(plan) => step(plan, &rest[..count * image]).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(part) => {
                    out.append(part);
                    rest = &rest[count * image..];
                }
                Err(Error::OutOfMemory(why)) if count > 1 => {
                    self.plans.clear();
                    self.batch = count / 2;
                    self.warning = Some(format!("{why}: the batch was halved to {}", self.batch));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(out)
    }

    fn plan(&mut self, count: usize) -> Result<&mut Forward> {
        // Two plans at most: the whole batch and the remainder at the end.
        if !self.plans.contains_key(&count) {
            let batch = self.batch;
            self.plans.retain(|&size, _| size == batch);
            let forward = Forward::new(&self.network, self.kind, count, self.size, false)?;
            self.plans.insert(count, forward);
        }
        self.plans.get_mut(&count).ok_or_else(|| Error::Gpu("the plan is gone".into()))
    }
}

/// Waits for passes in order; what came out of all of them.
async fn finish(passes: Vec<Pending>) -> Result<Output> {
    let mut out = Output::default();
    for pass in passes {
        out.append(pass.wait().await?);
    }
    Ok(out)
}
