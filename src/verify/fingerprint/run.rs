//! Runs a probe's shader on the adapter, and generates its operands.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::gpu::{Cost, Dispatch, Gpu, KernelSpec, Plan, Recording, fold_workgroups};
use crate::weights::splitmix;

/// The initial value of results; no probe's result has these bits.
const UNWRITTEN: u32 = 0x7fc5_a5a5;

/// One adapter to probe.
pub(super) struct Asker<'a> {
    pub gpu: &'a Arc<Gpu>,
}

impl Asker<'_> {
    /// The first `count` result words of a shader over `operands`, one vec4 of words an item; `extra` follows the number of
    /// items in the uniform block.
    pub async fn ask(
        &self,
        kernel: KernelSpec,
        operands: &[[u32; 4]],
        extra: [u32; 3],
        count: usize,
    ) -> Result<Vec<u32>> {
        self.ask_words(kernel, bytemuck::cast_slice(operands), operands.len(), extra, count).await
    }

    /// The same over operands of any type, as words.
    pub async fn ask_words(
        &self,
        kernel: KernelSpec,
        operands: &[u32],
        items: usize,
        extra: [u32; 3],
        count: usize,
    ) -> Result<Vec<u32>> {
        let label = kernel.shader_name();
        let mut recording = Recording::new();
        let input = recording.kept("operands", 4 * operands.len() as u64);
        let output = recording.kept("results", 4 * count as u64);
        let params = [items as u32, extra[0], extra[1], extra[2]];
        recording.dispatch(Dispatch {
            label: label.into(),
            kernel,
            tensors: vec![input, output],
            params: bytemuck::bytes_of(&params).to_vec(),
            workgroups: fold_workgroups(items.div_ceil(64) as u64),
            cost: Cost { flops: 100.0 * count as f64, bytes: 4.0 * (operands.len() + count) as f64 },
        });
        let mut plan = Plan::new(self.gpu, &recording)?;
        plan.write(input, operands)?;
        plan.write(output, &vec![UNWRITTEN; count])?;
        plan.run().await?;
        let results: Vec<u32> = plan.read(output, count).await?;
        match results.iter().position(|&word| word == UNWRITTEN) {
            Some(at) => Err(Error::Mismatch(format!("{label}: result {at} of {count} was left unwritten"))),
            None => Ok(results),
        }
    }
}

/// Column `column` of results that have `width` words an item, as floats.
pub(super) fn column(results: &[u32], width: usize, column: usize) -> Vec<f32> {
    results.iter().skip(column).step_by(width).map(|&bits| f32::from_bits(bits)).collect()
}

/// Numbers in [0, 1) that are the same on every machine, from a seed.
pub(super) struct Draws {
    seed: u64,
    drawn: u64,
}

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    pub fn unit(&mut self) -> f64 {
        self.drawn += 1;
        (splitmix(self.seed, self.drawn - 1) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [from, to), as f32.
    pub fn within(&mut self, from: f64, to: f64) -> f32 {
        (from + (to - from) * self.unit()) as f32
    }
}
