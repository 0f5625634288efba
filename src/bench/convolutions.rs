//! Times each distinct convolution of a network on its own: forward pass and both gradients.

use std::sync::Arc;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::gpu::{Gpu, Plan, Recording, block_on};
use crate::model::{Architecture, ConvBn, conv_op};
use crate::ops::{
    Conv2d, Conv2dAlgorithm, Conv2dPass, ConvOperands, ConvPlan, Epilogue, GradEpilogue, MapShape, Precision,
    RecordMaps, pack_nhwc,
};
use crate::weights::hash_input;

/// The times of one shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvTimes {
    /// The first layer of this shape.
    pub layer: String,
    /// Number of layers of this shape.
    pub layers: usize,
    /// NCHW.
    pub input: [usize; 4],
    /// KCRS.
    pub weight: [usize; 4],
    /// `subgroup`, `winograd4-subgroup`, …
    pub algorithm: String,
    pub stride: usize,
    /// Operations of the forward pass, and of each gradient.
    pub gflop: f64,
    /// Best time of the iterations: forward, input gradient, weight gradient.
    pub forward_ms: f64,
    pub input_ms: f64,
    pub weight_ms: f64,
}

/// A convolution of a network, and its input.
pub(crate) struct Shape {
    /// The first layer of this shape, and how many there are.
    pub layer: String,
    pub layers: usize,
    pub op: Conv2d,
    /// NCHW.
    pub input: [usize; 4],
}

impl Shape {
    /// Operations of the formula, a multiply-add counted as two. Winograd takes fewer multiplications.
    pub fn flops(&self) -> f64 {
        let weight = self.op.weight_shape();
        let [n, k, p, q] = self.op.output_shape(self.input).unwrap_or_default();
        2.0 * (n * p * q) as f64 * (k * weight[1..].iter().product::<usize>()) as f64
    }
}

/// Times the convolutions of `architecture` on a batch; each of `iterations` rounds runs all of them.
pub fn convolutions(
    gpu: &Arc<Gpu>,
    architecture: &Architecture,
    batch: usize,
    image_size: usize,
    iterations: usize,
) -> Result<Vec<ConvTimes>> {
    let shapes = shapes(architecture, batch, image_size);
    let mut plans = Vec::new();
    for shape in &shapes {
        let mut plan = plan(gpu, shape)?;
        block_on(plan.run())?;
        plans.push(plan);
    }
    let mut best = vec![[f64::INFINITY; 3]; shapes.len()];
    for _ in 0..iterations.max(1) {
        for (plan, best) in plans.iter_mut().zip(&mut best) {
            let (_, times) = block_on(plan.profile())?;
            for (part, best) in PARTS.iter().zip(best) {
                let seconds: f64 = times.iter().filter(|time| time.label == *part).map(|time| time.seconds).sum();
                *best = best.min(seconds * 1e3);
            }
        }
    }
    let times = shapes.into_iter().zip(best).map(|(shape, [forward_ms, input_ms, weight_ms])| {
        let (algorithm, gflop) = (algorithm(gpu, &shape).name(), shape.flops() * 1e-9);
        let Shape { layer, layers, op, input } = shape;
        let (weight, stride) = (op.weight_shape(), op.attributes.stride[0]);
        ConvTimes { layer, layers, input, weight, algorithm, stride, gflop, forward_ms, input_ms, weight_ms }
    });
    Ok(times.collect())
}

const PARTS: [&str; 3] = ["forward", "by input", "by weight"];

fn plan(gpu: &Arc<Gpu>, shape: &Shape) -> Result<Plan> {
    let op = &shape.op;
    let algorithm = algorithm(gpu, shape);
    let mut r = Recording::new();
    let groups = op.attributes.groups;
    let maps = MapShape::grouped(shape.input, groups)?;
    let of = |pass| ConvPlan::new(op, pass, algorithm, maps);
    let (forward, by_input, by_weight) =
        (of(Conv2dPass::Forward)?, of(Conv2dPass::ByInput)?, of(Conv2dPass::ByWeight)?);
    let values = |plan: &ConvPlan| Ok::<_, Error>(plan.weight()?.extents().iter().product::<usize>());
    let (count, transposed_count) = (values(&forward)?, values(&by_input)?);
    let weight = r.kept("weight", (count * 4) as u64);
    let transposed = r.kept("transposed weight", (transposed_count * 4) as u64);
    let input = r.kept_map("input", maps);
    let operands = ConvOperands::Forward { input, weight, epilogue: Epilogue::default() };
    let output = forward.record(&mut r, PARTS[0], operands)?;
    let epilogue = GradEpilogue::default();
    let operands = ConvOperands::InputGradient { grad_output: output, weight: transposed, epilogue };
    by_input.record(&mut r, PARTS[1], operands)?;
    by_weight.record(&mut r, PARTS[2], ConvOperands::WeightGradient { input, grad_output: output })?;
    let plan = Plan::new(gpu, &r)?;
    let values = hash_input("input", shape.input.iter().product());
    plan.write(input.tensor, &pack_nhwc(&values, shape.input, groups))?;
    for (tensor, count) in [(weight, count), (transposed, transposed_count)] {
        plan.write(tensor, &hash_input("weight", count))?;
    }
    Ok(plan)
}

fn algorithm(gpu: &Gpu, shape: &Shape) -> Conv2dAlgorithm {
    let [n, _, h, w] = shape.input;
    Conv2dAlgorithm::usual(gpu, Conv2dPass::Forward, &shape.op, [n, h, w], Precision::F32)
}

/// The distinct convolutions, in order of their first layer.
pub(crate) fn shapes(architecture: &Architecture, batch: usize, image_size: usize) -> Vec<Shape> {
    let layers = architecture.layers();
    let mut shapes: Vec<Shape> = Vec::new();
    let mut add = |conv: &ConvBn, size: usize| {
        let (op, input) = (conv_op(conv), [batch, conv.in_channels, size, size]);
        match shapes.iter_mut().find(|shape| (shape.op, shape.input) == (op, input)) {
            Some(shape) => shape.layers += 1,
            None => shapes.push(Shape { layer: conv.conv.clone(), layers: 1, op, input }),
        }
        conv.output_size(size).unwrap_or(0)
    };
    let mut size = add(&layers.stem.conv, image_size);
    if let Some(pool) = &layers.stem.pool {
        size = pool.output_size(size).unwrap_or(0);
    }
    for block in layers.blocks() {
        if let Some(conv) = block.projection() {
            add(conv, size);
        }
        for conv in &block.convs {
            size = add(conv, size);
        }
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_convolution_of_a_network_is_counted_once() {
        let architecture = Architecture::named("resnet50").unwrap();
        let shapes = shapes(&architecture, 2, 224);
        assert_eq!(shapes.iter().map(|shape| shape.layers).sum::<usize>(), architecture.layers().convs().count());
        let macs: usize = shapes
            .iter()
            .map(|s| {
                let [n, k, p, q] = s.op.output_shape(s.input).unwrap();
                s.layers * n * k * p * q * s.op.weight_shape()[1..].iter().product::<usize>()
            })
            .sum();
        // All multiply-adds of the network except the classifier's.
        assert_eq!(macs as u64, 2 * (architecture.macs(224, 224).unwrap() - 2048 * 1000));
    }
}
