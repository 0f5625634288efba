//! Decodes and preprocesses on all cores, ahead of the consumer, in order and in bounded memory.
//!
//! Worker threads take the next image's number from a window that slides with the consumer: image `i` may be started once
//! `i < taken + window`. So at most `window` preprocessed images wait, plus one decoded image per worker, and no batch boundary leaves a
//! core idle.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use web_time::Instant;

use super::split::check_indices;
use super::{Augment, Dataset, Preprocess};
use crate::error::{Error, Result};

/// Preprocessed images for one upload.
#[derive(Debug)]
pub struct Batch {
    /// Which images of the data set these are, failed ones left out.
    pub indices: Vec<usize>,
    /// `indices.len() * crop * crop * 3` bytes, HWC.
    pub pixels: Vec<u8>,
    /// The images that could not be read, with the reason, which names the file.
    pub failures: Vec<(usize, Error)>,
}

/// An iterator of [`Batch`]es in the order of its indices. Every batch but the last stands for `batch_size` indices;
/// one whose images all failed is still delivered, with its failures.
///
/// Dropping it early stops the workers after their current image.
pub struct Loader {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    batch_size: usize,
    /// Bytes of one image.
    image_bytes: usize,
}

struct Shared {
    source: Arc<dyn Dataset>,
    indices: Vec<usize>,
    preprocess: Preprocess,
    augmentation: Option<Augmentation>,
    window: usize,
    state: Mutex<State>,
    /// Nanoseconds of all workers together.
    decoding: AtomicU64,
    /// Signalled when an image is finished.
    finished: Condvar,
    /// Signalled when the window moves or the loader is dropped.
    moved: Condvar,
}

/// The augmentation of training images; `None` for images as seen in evaluation.
struct Augmentation {
    augment: Augment,
    seed: u64,
    epoch: u64,
}

struct State {
    /// The next position (in `indices`) that a worker takes.
    next: usize,
    /// Positions that the consumer has taken.
    taken: usize,
    /// Results of positions `taken..`, as far as they were started; `None` while one is being made.
    results: VecDeque<Option<Result<Vec<u8>>>>,
    dropped: bool,
}

impl Loader {
    /// Starts reading `source` at `indices`. `prefetch_batches` (0 is taken as 1) is how many batches may be ready beyond
    /// the one being taken.
    ///
    /// # Errors
    /// A batch size of 0, an invalid `preprocess`, an index past the end, or no thread to be had.
    pub fn new(
        source: Arc<dyn Dataset>,
        indices: Vec<usize>,
        batch_size: usize,
        preprocess: Preprocess,
        prefetch_batches: usize,
    ) -> Result<Self> {
        Self::start(source, indices, batch_size, preprocess, prefetch_batches, None)
    }

    /// The same with augmented images: each is drawn by [`Augment::rng`] of `seed`, `epoch` and its number in `source`,
    /// whatever the order and the number of cores.
    ///
    /// # Errors
    /// Those of [`Loader::new`], and an `augment` out of range.
    #[allow(clippy::too_many_arguments)] // what `new` takes, and what an image's random numbers come from
    pub fn augmented(
        source: Arc<dyn Dataset>,
        indices: Vec<usize>,
        batch_size: usize,
        preprocess: Preprocess,
        prefetch_batches: usize,
        augment: Augment,
        seed: u64,
        epoch: u64,
    ) -> Result<Self> {
        augment.validate()?;
        let augmentation = Some(Augmentation { augment, seed, epoch });
        Self::start(source, indices, batch_size, preprocess, prefetch_batches, augmentation)
    }

    fn start(
        source: Arc<dyn Dataset>,
        indices: Vec<usize>,
        batch_size: usize,
        preprocess: Preprocess,
        prefetch_batches: usize,
        augmentation: Option<Augmentation>,
    ) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::Usage("the batch size must be at least 1".into()));
        }
        preprocess.validate()?;
        check_indices(&indices, source.len())?;
        let image_bytes = preprocess.bytes();
        let window = batch_size.saturating_mul(prefetch_batches.max(1).saturating_add(1));
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let threads = cores.min(indices.len());
        let state = Mutex::new(State { next: 0, taken: 0, results: VecDeque::new(), dropped: false });
        let (finished, moved) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared {
            source,
            indices,
            preprocess,
            augmentation,
            window,
            state,
            decoding: AtomicU64::new(0),
            finished,
            moved,
        });

        let mut loader = Loader { shared, workers: Vec::new(), batch_size, image_bytes };
        for _ in 0..threads {
            let shared = Arc::clone(&loader.shared);
            match std::thread::Builder::new().name("decode".into()).spawn(move || shared.work()) {
                Ok(worker) => loader.workers.push(worker),
                // Fewer threads do the same work.
                Err(_) if !loader.workers.is_empty() => break,
                Err(e) => return Err(Error::Usage(format!("no thread could be started to decode images: {e}"))),
            }
        }
        Ok(loader)
    }

    /// The total time that all workers have spent decoding and resizing so far.
    pub fn decoding(&self) -> Duration {
        Duration::from_nanos(self.shared.decoding.load(Ordering::Relaxed))
    }

    /// Number of batches that are still to come.
    pub fn remaining(&self) -> usize {
        (self.shared.indices.len() - self.shared.lock().taken).div_ceil(self.batch_size)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that may panic runs under the lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(position) = self.claim() {
            let index = self.indices[position];
            let started = Instant::now();
            // A data set of another crate may panic; the consumer must not wait for its image forever.
            let result = catch_unwind(AssertUnwindSafe(|| self.load(index)))
                .unwrap_or_else(|_| Err(Error::Usage(format!("reading image {index} panicked; please report it"))));
            self.decoding.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
            let mut state = self.lock();
            let slot = position - state.taken;
            state.results[slot] = Some(result);
            drop(state);
            self.finished.notify_one();
        }
    }

    /// The next position to make, once the window allows it; `None` at the end.
    fn claim(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.dropped || state.next == self.indices.len() {
                return None;
            }
            if state.next - state.taken < self.window {
                let position = state.next;
                state.next += 1;
                state.results.push_back(None);
                return Some(position);
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn load(&self, index: usize) -> Result<Vec<u8>> {
        let image = self.source.image(index)?;
        let seen = match &self.augmentation {
            None => self.preprocess.apply(&image),
            Some(Augmentation { augment, seed, epoch }) => {
                augment.apply(&image, &self.preprocess, &mut Augment::rng(*seed, *epoch, index))
            }
        };
        Ok(seen.map_err(|e| Error::file(self.source.name(index), e))?.pixels)
    }
}

impl Iterator for Loader {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut state = self.shared.lock();
        let first = state.taken;
        let n = self.batch_size.min(self.shared.indices.len() - first);
        if n == 0 {
            return None;
        }
        // The window holds at least two batches, so all of this one will be started without the consumer.
        while state.results.len() < n || state.results.iter().take(n).any(Option::is_none) {
            state = self.shared.finished.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let results: Vec<_> = state.results.drain(..n).flatten().collect();
        state.taken += n;
        drop(state);
        self.shared.moved.notify_all();

        let mut batch = Batch {
            indices: Vec::with_capacity(n),
            pixels: Vec::with_capacity(n * self.image_bytes),
            failures: Vec::new(),
        };
        for (result, &index) in results.into_iter().zip(&self.shared.indices[first..]) {
            match result {
                Ok(pixels) => {
                    batch.indices.push(index);
                    batch.pixels.extend_from_slice(&pixels);
                }
                Err(error) => batch.failures.push((index, error)),
            }
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let n = self.remaining();
        (n, Some(n))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.lock().dropped = true;
        self.shared.moved.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches its panics; if one escapes, nothing can report it.
            let _ = worker.join();
        }
    }
}
