//! Two kernels that measure a device's peaks: chains of multiply-adds in registers, and a copy. The other kernels' speeds are
//! compared with them.

use super::dispatch_items;
use super::feature_map::u32_of;
use crate::error::Result;
use crate::gpu::shaders::files::{peak_arithmetic, peak_copy};
use crate::gpu::shaders::uniforms::peak_arithmetic::Chain;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

/// Multiply-adds of a chain in one round.
const STEPS: usize = 8;

/// Chains of [`multiply_adds`] side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainWidth {
    Two,
    Four,
    Eight,
}

impl ChainWidth {
    pub const ALL: [Self; 3] = [Self::Two, Self::Four, Self::Eight];

    /// vec4s that an invocation works on.
    pub fn vectors(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    fn entry(self) -> &'static str {
        match self {
            Self::Two => "wide2",
            Self::Four => "wide4",
            Self::Eight => "wide8",
        }
    }
}

/// `8 * rounds` steps of `x = 0.75 x + 0.25` (which tends to 1) on `width` vec4s in each of `invocations`. The result holds one vec4 per
/// invocation: the sum of its chains.
pub fn multiply_adds(r: &mut Recording, width: ChainWidth, invocations: usize, rounds: usize) -> Result<TensorId> {
    const OP: &str = "peak_arithmetic";
    let params = Chain {
        rounds: u32_of(OP, "a number of rounds", rounds)?,
        invocations: u32_of(OP, "a number of invocations", invocations)?,
        scale: 0.75,
        offset: 0.25,
    };
    let result = r.kept(OP, (invocations * 16) as u64);
    let flops = invocations as f64 * (rounds * STEPS * width.vectors() * 8) as f64;
    let cost = Cost { flops, bytes: (invocations * 16) as f64 };
    let kernel = KernelSpec::new(peak_arithmetic::FILE).entry(width.entry());
    dispatch_items(r, OP, kernel, &[result], bytemuck::bytes_of(&params), invocations, cost)?;
    Ok(result)
}

/// Vec4s that one invocation of [`copy`] moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyWidth {
    One,
    Four,
}

impl CopyWidth {
    pub const ALL: [Self; 2] = [Self::One, Self::Four];
}

/// Copies `len4` vec4s from `input` to `output`.
pub fn copy(r: &mut Recording, width: CopyWidth, input: TensorId, output: TensorId, len4: usize) -> Result<()> {
    const OP: &str = "peak_copy";
    let (entry, each) = if width == CopyWidth::One { ("single", 1) } else { ("several", 4) };
    let params = [u32_of(OP, "a buffer", len4)?, 0, 0, 0];
    let cost = Cost { flops: 0.0, bytes: (len4 * 32) as f64 };
    let kernel = KernelSpec::new(peak_copy::FILE).entry(entry);
    // Each workgroup copies one contiguous range; the last range may be partial.
    let items = len4.div_ceil(64 * each) * 64;
    dispatch_items(r, OP, kernel, &[input, output], bytemuck::bytes_of(&params), items, cost)
}
