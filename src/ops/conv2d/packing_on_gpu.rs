//! Packing of an f32 KRSC weight on the GPU, which training does after each step.

use super::blocks::Blocks;
use super::packing::Packing;
use super::pass::Direction;
use super::spec::Conv2d;
use crate::error::Result;
use crate::gpu::shaders::files::{pack_weight, pack_weight_blocks};
use crate::gpu::shaders::uniforms;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};
use crate::ops::feature_map::U32s;
use crate::ops::{Precision, dispatch_items};

/// Rows that an invocation packs.
const ROWS: usize = 8;

const SIZES: U32s = U32s { op: "pack_weight", what: "a weight" };

impl Packing {
    /// Appends the packing of `weight`, the KRSC weight of `conv`, as `precision`.
    pub fn record(
        &self,
        conv: &Conv2d,
        direction: Direction,
        r: &mut Recording,
        label: &str,
        weight: TensorId,
        precision: Precision,
    ) -> Result<TensorId> {
        let elements = self.elements();
        SIZES.of(elements)?;
        let packed = r.temporary(label, (elements / 4) as u64 * precision.bytes4());
        let cost = Cost { flops: 0.0, bytes: (elements * 4) as f64 + r.bytes(packed) as f64 };
        let blocks = conv.blocks().filter(|_| direction == Direction::Transposed);
        let (kernel, params, items) = match &blocks {
            Some(blocks) => {
                let params = bytemuck::bytes_of(&self.blocks_params(conv, blocks)?).to_vec();
                (pack_weight_blocks::FILE.into(), params, elements / 4)
            }
            None => {
                let kernel = KernelSpec::new(pack_weight::FILE);
                let runs = self.groups * self.tiles * self.taps * self.rows.div_ceil(ROWS);
                let (kernel, items) = match self.side {
                    // Matrix units read the rows of a column.
                    1 => (kernel.with(pack_weight::ROWS_FASTEST), elements / 4),
                    side => (kernel, runs * side / 4),
                };
                (kernel, bytemuck::bytes_of(&self.params(conv, direction)?).to_vec(), items)
            }
        };
        dispatch_items(r, label, precision.kernel(kernel)?, &[weight, packed], &params, items, cost)?;
        Ok(packed)
    }

    fn params(&self, conv: &Conv2d, direction: Direction) -> Result<uniforms::pack_weight::Pack> {
        let [group_out, group_in] = channels(conv)?;
        Ok(uniforms::pack_weight::Pack {
            groups: SIZES.of(self.groups)?,
            tiles: SIZES.of(self.tiles)?,
            taps: SIZES.of(self.taps)?,
            rows: SIZES.of(self.rows)?,
            side4: SIZES.of(self.side / 4)?,
            group_out,
            group_in,
            transposed: u32::from(direction == Direction::Transposed),
        })
    }

    fn blocks_params(&self, conv: &Conv2d, blocks: &Blocks) -> Result<uniforms::pack_weight_blocks::Pack> {
        Ok(uniforms::pack_weight_blocks::Pack {
            taps: SIZES.pair(blocks.taps)?,
            block: SIZES.pair(blocks.block)?,
            kernel: SIZES.pair(conv.kernel)?,
            stride: SIZES.pair(conv.attributes.stride)?,
            padding: SIZES.pair(conv.attributes.padding)?,
            reach: SIZES.pair(blocks.reach)?,
            tiles: SIZES.of(self.tiles)?,
            rows: SIZES.of(self.rows)?,
            side4: SIZES.of(self.side / 4)?,
            outputs: SIZES.of(conv.out_channels)?,
        })
    }
}

/// Output and input channels of a group.
fn channels(conv: &Conv2d) -> Result<[u32; 2]> {
    let [k, c, ..] = conv.weight_shape();
    Ok([SIZES.of(k / conv.attributes.groups)?, SIZES.of(c)?])
}
