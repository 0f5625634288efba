//! Batches of images through a network on one adapter or several, in order.
//!
//! The [`Loader`]'s threads decode ahead. Each adapter has a thread that takes the next batch whenever it has fewer than
//! two batches in flight. So the next batch is uploaded and submitted before the previous one is read back, and a faster
//! adapter takes more. Results are put back in order, and passed on by the caller's thread.

mod shares;

use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use web_time::Instant;

use crate::data::{Batch, Loader};
use crate::error::{Error, Result};
use crate::gpu::block_on;
use crate::model::{Output, Predictor};
use shares::Shares;

/// Batches that an adapter has in flight: one that it computes and one that waits for it.
const DEPTH: usize = 2;
/// How many batches the results of one adapter may be ahead of another's, for each adapter.
const AHEAD: usize = 8;

/// A batch that went through the network.
pub struct Done {
    /// The numbers of the images, without unreadable ones.
    pub indices: Vec<usize>,
    /// The images that could not be read, with the reason.
    pub failures: Vec<(usize, Error)>,
    /// Rows in the order of `indices`.
    pub output: Output,
    /// A message for the user: that the batch became smaller.
    pub warning: Option<String>,
}

/// How an adapter spent its time.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Images that it computed.
    pub images: usize,
    /// Time until its first results: planning, compiling and one batch.
    pub first: Duration,
    /// Time spent waiting for decoded images.
    pub waiting_for_images: Duration,
    /// Time spent uploading, submitting and waiting for the device.
    pub device: Duration,
}

/// Runs every batch of `loader` through one of `predictors` (the same network and sizes on each) and passes the results to
/// `each`, in the loader's order, on the caller's thread. Returns each adapter's usage, and the total time that decoding took on
/// all cores. The first error, including one of `each`, ends it.
pub fn infer_batches(
    loader: Loader,
    predictors: &mut [Predictor],
    each: impl FnMut(Done) -> Result<()>,
) -> Result<(Vec<Usage>, Duration)> {
    let pipeline = Pipeline {
        shares: Mutex::new(Shares::new(predictors.len(), AHEAD * predictors.len())),
        moved: Condvar::new(),
        loader: Mutex::new(loader),
    };
    let (sender, receiver) = mpsc::channel();
    let usage = std::thread::scope(|scope| {
        let workers: Vec<_> = predictors
            .iter_mut()
            .enumerate()
            .map(|(who, predictor)| {
                let (pipeline, sender) = (&pipeline, sender.clone());
                scope.spawn(move || {
                    let result = pipeline.work(who, predictor, &sender);
                    result.unwrap_or_else(|error| {
                        drop(sender.send(Err(error)));
                        Usage::default()
                    })
                })
            })
            .collect();
        drop(sender);
        let delivered = pipeline.deliver(&receiver, each);
        pipeline.lock().stop();
        pipeline.moved.notify_all();
        let usage =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect();
        delivered.map(|()| usage)
    })?;
    let loader = pipeline.loader.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((usage, loader.decoding()))
}

/// What the threads share.
struct Pipeline {
    shares: Mutex<Shares>,
    /// Signalled when a batch was delivered, and at the end.
    moved: Condvar,
    /// Locked while waiting for a batch, and never by the thread that passes results on.
    loader: Mutex<Loader>,
}

/// A batch that was submitted.
struct Submitted {
    sequence: usize,
    indices: Vec<usize>,
    failures: Vec<(usize, Error)>,
    at: Instant,
}

impl Pipeline {
    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One adapter's thread.
    fn work(
        &self,
        who: usize,
        predictor: &mut Predictor,
        sender: &mpsc::Sender<Result<(usize, Done)>>,
    ) -> Result<Usage> {
        let mut usage = Usage::default();
        let mut under_way: VecDeque<Submitted> = VecDeque::new();
        let started = Instant::now();
        let mut last_end = started;
        loop {
            if under_way.len() < DEPTH {
                let before = Instant::now();
                let taken = self.take(who, !under_way.is_empty());
                usage.waiting_for_images += before.elapsed();
                if let Some((sequence, mut batch)) = taken {
                    let at = Instant::now();
                    block_on(predictor.submit_pixels(std::mem::take(&mut batch.pixels)))?;
                    usage.device += at.elapsed();
                    let Batch { indices, failures, .. } = batch;
                    under_way.push_back(Submitted { sequence, indices, failures, at });
                    continue;
                }
            }
            let Some(Submitted { sequence, indices, failures, at }) = under_way.pop_front() else { return Ok(usage) };
            if self.lock().is_stopped() {
                return Ok(usage);
            }
            let before = Instant::now();
            let output = block_on(predictor.receive())?.ok_or_else(|| Error::Gpu("a batch is gone".into()))?;
            let now = Instant::now();
            usage.device += now - before;
            if usage.images == 0 {
                usage.first = now - started;
            }
            usage.images += indices.len();
            self.lock().finished(who, (now - at.max(last_end)).as_secs_f64());
            last_end = now;
            let done = Done { indices, failures, output, warning: predictor.take_warning() };
            // Nobody receives results after an error; the next `take` then returns none.
            drop(sender.send(Ok((sequence, done))));
        }
    }

    /// The next batch and its number, if it is for this adapter. An adapter with batches in flight never waits for the others.
    fn take(&self, who: usize, busy: bool) -> Option<(usize, Batch)> {
        {
            let mut shares = self.lock();
            while shares.is_far_ahead() && !busy {
                shares = self.moved.wait(shares).unwrap_or_else(PoisonError::into_inner);
            }
            if shares.is_far_ahead() {
                return None;
            }
        }
        let mut loader = self.loader.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = self.lock().take(who, loader.remaining())?;
        // There are as many as `remaining` said.
        loader.next().map(|batch| (sequence, batch))
    }

    /// Passes results on in order, until all threads are done.
    fn deliver(
        &self,
        receiver: &mpsc::Receiver<Result<(usize, Done)>>,
        mut each: impl FnMut(Done) -> Result<()>,
    ) -> Result<()> {
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        for result in receiver {
            let (sequence, done) = result?;
            waiting.insert(sequence, done);
            while let Some(done) = waiting.remove(&next) {
                each(done)?;
                next += 1;
                self.lock().delivered(next);
                self.moved.notify_all();
            }
        }
        Ok(())
    }
}
