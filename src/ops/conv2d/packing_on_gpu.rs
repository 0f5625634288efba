//! The packing of a KRSC weight of f32 on the GPU, as training does it after each step.

use super::blocks::Blocks;
use super::packing::Packing;
use super::pass::Direction;
use super::spec::Conv2d;
use crate::error::Result;
use crate::gpu::shaders::files;
use crate::gpu::shaders::uniforms::{pack_weight, pack_weight_blocks, pack_weight_rows};
use crate::gpu::{Cost, Recording, TensorId};
use crate::ops::feature_map::u32_of;
use crate::ops::{Precision, dispatch_items};

/// Rows that an invocation packs.
const ROWS: usize = 8;

fn size(value: usize) -> Result<u32> {
    u32_of("pack_weight", "a weight", value)
}

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
        size(elements)?;
        let packed = r.temporary(label, (elements / 4) as u64 * precision.bytes4());
        let cost = Cost { flops: 0.0, bytes: (elements * 4) as f64 + r.bytes(packed) as f64 };
        let blocks = conv.blocks().filter(|_| direction == Direction::Transposed);
        let (file, params, items) = match &blocks {
            Some(blocks) => (
                files::pack_weight_blocks::FILE,
                bytemuck::bytes_of(&self.blocks_params(conv, blocks)?).to_vec(),
                elements / 4,
            ),
            // Matrix units read the rows of a column.
            None if self.side == 1 => (
                files::pack_weight_rows::FILE,
                bytemuck::bytes_of(&self.rows_params(conv, direction)?).to_vec(),
                elements / 4,
            ),
            None => {
                let items = self.groups * self.tiles * self.taps * self.rows.div_ceil(ROWS) * self.side / 4;
                (files::pack_weight::FILE, bytemuck::bytes_of(&self.params(conv, direction)?).to_vec(), items)
            }
        };
        dispatch_items(r, label, precision.kernel(file)?, &[weight, packed], &params, items, cost)?;
        Ok(packed)
    }

    fn params(&self, conv: &Conv2d, direction: Direction) -> Result<pack_weight::Pack> {
        let [group_out, group_in] = channels(conv)?;
        Ok(pack_weight::Pack {
            groups: size(self.groups)?,
            tiles: size(self.tiles)?,
            taps: size(self.taps)?,
            rows: size(self.rows)?,
            side4: size(self.side / 4)?,
            group_out,
            group_in,
            transposed: u32::from(direction == Direction::Transposed),
        })
    }

    fn rows_params(&self, conv: &Conv2d, direction: Direction) -> Result<pack_weight_rows::Pack> {
        let [group_out, group_in] = channels(conv)?;
        Ok(pack_weight_rows::Pack {
            groups: size(self.groups)?,
            columns: size(self.tiles)?,
            taps: size(self.taps)?,
            rows4: size(self.rows / 4)?,
            group_out,
            group_in,
            transposed: u32::from(direction == Direction::Transposed),
            end: [0],
        })
    }

    fn blocks_params(&self, conv: &Conv2d, blocks: &Blocks) -> Result<pack_weight_blocks::Pack> {
        let pair = |[a, b]: [usize; 2]| -> Result<[u32; 2]> { Ok([size(a)?, size(b)?]) };
        Ok(pack_weight_blocks::Pack {
            taps: pair(blocks.taps)?,
            block: pair(blocks.block)?,
            kernel: pair(conv.kernel)?,
            stride: pair(conv.attributes.stride)?,
            padding: pair(conv.attributes.padding)?,
            reach: pair(blocks.reach)?,
            tiles: size(self.tiles)?,
            rows: size(self.rows)?,
            side4: size(self.side / 4)?,
            outputs: size(conv.out_channels)?,
        })
    }
}

/// Output and input channels of a group.
fn channels(conv: &Conv2d) -> Result<[u32; 2]> {
    let [k, c, ..] = conv.weight_shape();
    Ok([size(k / conv.attributes.groups)?, size(c)?])
}
