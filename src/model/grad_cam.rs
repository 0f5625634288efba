//! Grad-CAM (Selvaraju et al., 2017): where in an image the evidence for a class lies. The gradient of the class' logit with respect to the
//! last stage's output, averaged over the map, says how much each channel speaks for the class:
//!
//! `alpha[k] = mean over i,j of d logit[class] / d A[k,i,j]`, `map[i,j] = max(0, sum over k of alpha[k] A[k,i,j])`.

use super::InputKind;
use super::forward::{Forward, Output, StageOutput};
use super::network::Network;
use crate::error::{Error, Result};
use crate::gpu::{Plan, Recording, TensorId};
use crate::ops::{FeatureMap, MapShape, RecordMaps, pack_nhwc, pack_rows, unpack_nhwc};

/// Runs a network on one image at a time, with the backward pass from the logits to the last stage.
pub struct GradCam {
    forward: Forward,
    backward: Plan,
    classes: usize,
    top: FeatureMap,
    /// The gradient of the logits: 1 at the class, 0 elsewhere; -1 for class 0 of a single output.
    seed: TensorId,
    grad: FeatureMap,
}

/// Where the evidence for a class lies.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassMap {
    pub class: usize,
    pub height: usize,
    pub width: usize,
    /// `[height, width]`, row-major, before the ReLU: where it is below 0 the image speaks for other classes.
    pub data: Vec<f32>,
}

impl ClassMap {
    /// The map after its ReLU, its largest value 1; all 0 if nothing speaks for the class.
    pub fn heat(&self) -> Vec<f32> {
        let most = self.data.iter().fold(0.0f32, |most, &v| most.max(v));
        self.data.iter().map(|&v| if most > 0.0 { v.max(0.0) / most } else { 0.0 }).collect()
    }
}

impl GradCam {
    /// Plans for images of height and width `size`.
    pub fn new(network: &Network, kind: InputKind, size: [usize; 2]) -> Result<Self> {
        let forward = Forward::new(network, kind, 1, size, true)?;
        let classes = network.architecture().classes;
        let shape = forward.top_shape().ok_or_else(|| Error::shape("grad_cam", "the network has no stage"))?;
        let mut recording = Recording::new();
        let seed = recording.kept("seed", (classes.next_multiple_of(4) * 4) as u64);
        let top = recording.kept_map("top", MapShape::new(shape)?);
        let grad = network.record_head_backward(&mut recording, top, seed)?;
        recording.keep(grad.tensor);
        let backward = Plan::new(network.gpu(), &recording)?;
        Ok(Self { forward, backward, classes, top, seed, grad })
    }

    /// The map of `class`, or of the most likely one, for an image as HWC RGB bytes. A single output tells two classes apart: it is
    /// the logit of class 1, and its negative that of class 0.
    pub async fn run_pixels(&mut self, pixels: &[u8], class: Option<usize>) -> Result<ClassMap> {
        let output = self.forward.run_pixels(pixels).await?;
        self.map(output, class).await
    }

    /// The same for an image as NCHW floats.
    pub async fn run_tensor(&mut self, input: &[f32], class: Option<usize>) -> Result<ClassMap> {
        let output = self.forward.run_tensor(input).await?;
        self.map(output, class).await
    }

    async fn map(&mut self, output: Output, class: Option<usize>) -> Result<ClassMap> {
        let class = class.unwrap_or_else(|| most_likely(&output.logits));
        let classes = self.classes.max(2);
        if class >= classes {
            let problem = format!("class {class} is not below the number of classes, {classes}");
            return Err(Error::shape("grad_cam", problem));
        }
        let stages = self.forward.stages().await?;
        let StageOutput { shape, data, .. } =
            stages.last().ok_or_else(|| Error::shape("grad_cam", "the network has no stage"))?;
        let mut seed = vec![0.0f32; self.classes];
        match (self.classes, class) {
            (1, 0) => seed[0] = -1.0,
            (1, _) => seed[0] = 1.0,
            (_, class) => seed[class] = 1.0,
        }
        self.backward.write(self.top.tensor, &pack_nhwc(data, *shape, 1))?;
        self.backward.write(self.seed, &pack_rows(&seed, [1, self.classes], 1))?;
        self.backward.run().await?;
        let grad: Vec<f32> = self.backward.read(self.grad.tensor, self.grad.len4() * 4).await?;
        let [_, _, height, width] = *shape;
        let data = weighted(data, &unpack_nhwc(&grad, *shape, 1), height * width);
        Ok(ClassMap { class, height, width, data })
    }
}

/// The channels of `top`, each weighted by the mean of its gradient, summed in f64.
fn weighted(top: &[f32], grad: &[f32], area: usize) -> Vec<f32> {
    let mut sum = vec![0.0f64; area];
    for (plane, grad) in top.chunks(area).zip(grad.chunks(area)) {
        let alpha = grad.iter().map(|&g| f64::from(g)).sum::<f64>() / area as f64;
        sum.iter_mut().zip(plane).for_each(|(s, &a)| *s += alpha * f64::from(a));
    }
    sum.into_iter().map(|s| s as f32).collect()
}

/// The first of the largest; of a single output class 1 if it is above 0, else class 0.
fn most_likely(logits: &[f32]) -> usize {
    if let [logit] = logits {
        return usize::from(*logit > 0.0);
    }
    let better = |best: usize, (i, &logit): (usize, &f32)| if logit > logits[best] { i } else { best };
    logits.iter().enumerate().fold(0, better)
}
