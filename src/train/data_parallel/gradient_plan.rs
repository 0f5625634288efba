//! The first half of a step: forward and backward over one batch, and the gradients read back.

use std::collections::HashMap;

use super::part::{Part, PartReport};
use crate::error::{Error, Result};
use crate::gpu::{Plan, Recording, TensorId, block_on};
use crate::ops::loss_scale::{self, OVERFLOW};
use crate::train::network_shared::{NetworkOptions, Shared};
use crate::train::network_step::{Input, RecordedPass, record_block_norms, record_gradients};

/// The plans of one adapter by the number of images: whole batches, and the rest of an epoch.
pub(super) struct GradientPlans {
    plans: HashMap<usize, GradientPlan>,
    whole: usize,
}

struct GradientPlan {
    plan: Plan,
    input: Input,
    /// What is read back: the summary, the state of the loss scale, the squares of the blocks' norms, and then the gradients.
    reads: Vec<(TensorId, usize)>,
    is_scaled: bool,
    blocks: Vec<String>,
    /// Name and number of floats of each gradient.
    gradients: Vec<(String, usize)>,
}

impl GradientPlans {
    /// Makes the plan of batches of `rows` images.
    pub fn new(shared: &Shared, options: &NetworkOptions, rows: usize) -> Result<Self> {
        let plans = [(rows, GradientPlan::new(shared, options, rows)?)].into();
        Ok(Self { plans, whole: rows })
    }

    /// The name and the number of floats of each gradient, in the order that they are read back in.
    pub fn layout(&self) -> &[(String, usize)] {
        self.plans.values().next().map_or(&[], |plan| &plan.gradients)
    }

    /// Bytes of feature maps and gradients.
    pub fn bytes(&self) -> u64 {
        self.plans.values().map(|plan| plan.plan.summary().bytes).sum()
    }

    /// The gradients of a batch; `scale` is what the loss is multiplied by, where gradients are f16.
    pub fn run(
        &mut self,
        shared: &Shared,
        options: &NetworkOptions,
        (pixels, targets): (&[u8], &[u32]),
        scale: f32,
    ) -> Result<Part> {
        let rows = targets.len();
        if !self.plans.contains_key(&rows) {
            self.plans.retain(|&size, _| size == self.whole);
            self.plans.insert(rows, GradientPlan::new(shared, options, rows)?);
        }
        let plan = self.plans.get_mut(&rows).ok_or_else(|| Error::Gpu("the plan is gone".into()))?;
        if let Some(state) = &shared.loss_scale {
            shared.gpu.write(state, &loss_scale::state(scale))?;
        }
        plan.run(pixels, targets, scale)
    }
}

impl GradientPlan {
    fn new(shared: &Shared, options: &NetworkOptions, rows: usize) -> Result<Self> {
        let mut r = Recording::new();
        let RecordedPass { input, summary, gradients, block_gradients, loss_scale } =
            record_gradients(&mut r, shared, options, rows)?;
        let block_norms = record_block_norms(&mut r, options, block_gradients)?;
        let mut reads = vec![(summary, 4)];
        reads.extend(loss_scale.map(|state| (state, 4)));
        reads.extend(block_norms.as_ref().map(|(norms, names)| (norms.groups, names.len())));
        for &(_, (grad, elements)) in &gradients {
            r.keep(grad);
            reads.push((grad, elements));
        }
        Ok(Self {
            plan: Plan::new(&shared.gpu, &r)?,
            input,
            reads,
            is_scaled: loss_scale.is_some(),
            blocks: block_norms.map_or(Vec::new(), |(_, names)| names),
            gradients: gradients.into_iter().map(|(name, (_, elements))| (name, elements)).collect(),
        })
    }

    fn run(&mut self, pixels: &[u8], targets: &[u32], scale: f32) -> Result<Part> {
        self.input.write(&self.plan, pixels, targets)?;
        let mut read = block_on(async { self.plan.start(&self.reads).await?.wait().await })?.into_iter();
        let mut next = || read.next().ok_or_else(|| Error::Gpu("a read-back is gone".into()));
        let summary = next()?;
        let overflow = self.is_scaled && next()?[OVERFLOW].to_bits() != 0;
        // Maps' gradients are still scaled.
        let scale = if self.is_scaled { scale } else { 1.0 };
        let squares = if self.blocks.is_empty() { Vec::new() } else { next()? };
        let report = PartReport {
            summary: [summary[0], summary[1], summary[2], summary[3]],
            images: targets.len(),
            overflow,
            blocks: self.blocks.clone(),
            block_norms: squares.iter().map(|square| square.sqrt() / scale).collect(),
            ..PartReport::default()
        };
        let mut gradients = Vec::with_capacity(self.gradients.iter().map(|(_, elements)| elements).sum());
        read.for_each(|part| gradients.extend_from_slice(&part));
        Ok(Part { gradients, report })
    }
}
