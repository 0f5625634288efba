//! Batches some of whose images could not be read.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::event::Event;
use crate::data::{Batch, Dataset};
use crate::error::Error;
use crate::ops::cross_entropy::IGNORE;

/// Images that could not be read although they could before: of the validation images or not, with their numbers.
#[derive(Default)]
pub(super) struct ReadFailures(BTreeSet<(bool, usize)>);

impl ReadFailures {
    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Passes on which images of a batch could not be read, each once.
    pub fn note(&mut self, failures: &[(usize, Error)], held_out: bool, events: &mut dyn FnMut(Event)) {
        for (image, error) in failures {
            if self.0.insert((held_out, *image)) {
                events(Event::Skipped(error));
            }
        }
    }
}

/// Pixels and targets of a batch, if any of its images could be read. In place of those that could not stands the first one
/// again, which doesn't count.
pub(super) fn filled<'b>(batch: &'b Batch, data: &dyn Dataset) -> Option<(Cow<'b, [u8]>, Vec<u32>)> {
    let mut targets: Vec<u32> = batch.indices.iter().map(|&i| data.label(i) as u32).collect();
    if targets.is_empty() {
        return None;
    }
    if batch.failures.is_empty() {
        return Some(((&batch.pixels[..]).into(), targets));
    }
    let image = batch.pixels.len() / targets.len();
    let mut pixels = batch.pixels.clone();
    batch.failures.iter().for_each(|_| pixels.extend_from_within(..image));
    targets.resize(targets.len() + batch.failures.len(), IGNORE);
    Some((pixels.into(), targets))
}
