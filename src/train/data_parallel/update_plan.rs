//! The second half of a step: averaged gradients in, clipping, the optimiser's updates and the moving average, new parameters out.

use crate::error::{Error, Result};
use crate::gpu::{Plan, Recording, TensorId, block_on};
use crate::ops::loss_scale;
use crate::train::network_shared::{NetworkOptions, Shared};
use crate::train::network_step::{record_average, record_clipping, record_updates};

/// The plan of the update.
pub(super) struct UpdatePlan {
    plan: Plan,
    /// The gradients in their order, with their numbers of floats.
    gradients: Vec<(TensorId, usize)>,
    has_norm: bool,
    /// What is read back: the norm of the gradients, and then the parameters in the order of the gradients.
    reads: Vec<(TensorId, usize)>,
}

impl UpdatePlan {
    /// `layout` has the name and the number of floats of each gradient.
    pub fn new(shared: &mut Shared, options: &NetworkOptions, layout: &[(String, usize)]) -> Result<Self> {
        let mut r = Recording::new();
        let kept = |(name, elements): &(String, usize)| (name.clone(), (r.kept(name, *elements as u64 * 4), *elements));
        let gradients: Vec<_> = layout.iter().map(kept).collect();
        let loss_scale = shared.loss_scale.as_ref().map(|state| r.external("loss scale", state.clone()));
        let norms = record_clipping(&mut r, options, &gradients)?;
        record_updates(shared, options, &mut r, &gradients, loss_scale)?;
        record_average(shared, &mut r)?;
        let mut reads = Vec::new();
        reads.extend(norms.map(|norms| (norms.total, 1)));
        for (name, elements) in layout {
            reads.push((r.external(name, shared.network.parameter(name)?.buffer.clone()), *elements));
        }
        Ok(Self {
            plan: Plan::new(&shared.gpu, &r)?,
            gradients: gradients.into_iter().map(|(_, gradient)| gradient).collect(),
            has_norm: norms.is_some(),
            reads,
        })
    }

    /// Bytes of the gradients.
    pub fn bytes(&self) -> u64 {
        self.plan.summary().bytes
    }

    /// Makes the step by `gradients`, which [`crate::train::NetworkTrainer::begin_step`] has announced, and leaves the new parameters in
    /// `parameters`; gives the norm of the gradients, where it is wanted. With `overflow` no parameter changes.
    pub fn run(
        &mut self,
        shared: &Shared,
        gradients: &[f32],
        overflow: bool,
        parameters: &mut Vec<f32>,
    ) -> Result<Option<f32>> {
        if let (Some(state), true) = (&shared.loss_scale, overflow) {
            let mut words = loss_scale::state(1.0);
            words[loss_scale::OVERFLOW] = 1;
            shared.gpu.write(state, &words)?;
        }
        let mut rest = gradients;
        for &(tensor, elements) in &self.gradients {
            let (own, others) = rest
                .split_at_checked(elements)
                .ok_or_else(|| Error::shape("data-parallel training", "gradients are missing"))?;
            self.plan.write(tensor, own)?;
            rest = others;
        }
        let mut read = block_on(async { self.plan.start(&self.reads).await?.wait().await })?.into_iter();
        let norm = if self.has_norm { read.next() } else { None };
        parameters.clear();
        read.for_each(|part| parameters.extend_from_slice(&part));
        Ok(norm.and_then(|norm| norm.first().copied()))
    }
}
