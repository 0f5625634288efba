//! Labelled images of a page's visitor: those that wait for the network, and the features of the others.

use gpu_resnet::data::Rgb8;
use gpu_resnet::{Error, Result};
use wasm_bindgen::prelude::*;

/// Features of labelled images.
#[wasm_bindgen]
pub struct Examples {
    pub(crate) labels: Vec<String>,
    features: Vec<f32>,
    pub(crate) targets: Vec<u32>,
    /// Prepared images whose features are to be computed, and their classes.
    waiting: (Vec<u8>, Vec<u32>),
}

impl Examples {
    pub(crate) fn new(labels: Vec<String>) -> Result<Self> {
        if labels.len() < 2 {
            return Err(Error::Usage("a head tells classes apart, so give images of two classes or more".into()));
        }
        Ok(Self { labels, features: Vec::new(), targets: Vec::new(), waiting: Default::default() })
    }

    pub(crate) fn wait(&mut self, image: Rgb8, label: u32) -> Result<()> {
        if label as usize >= self.labels.len() {
            return Err(Error::Usage(format!("there is no class {label}")));
        }
        self.waiting.0.extend_from_slice(&image.pixels);
        self.waiting.1.push(label);
        Ok(())
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.1.len()
    }

    pub(crate) fn take_waiting(&mut self) -> (Vec<u8>, Vec<u32>) {
        std::mem::take(&mut self.waiting)
    }

    pub(crate) fn add(&mut self, features: Vec<f32>, targets: Vec<u32>) {
        self.features.extend(features);
        self.targets.extend(targets);
    }

    /// Those at `indices`.
    pub(crate) fn part(&self, indices: &[usize], columns: usize) -> (Vec<f32>, Vec<u32>) {
        let rows = indices.iter().flat_map(|&i| &self.features[i * columns..][..columns]).copied().collect();
        (rows, indices.iter().map(|&i| self.targets[i]).collect())
    }
}

#[wasm_bindgen]
impl Examples {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.targets.len()
    }
}
