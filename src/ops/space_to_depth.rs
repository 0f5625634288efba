//! Blocks of pixels as channels (`shaders/space_to_depth.wgsl`).

use super::dispatch_items;
use super::feature_map::{FeatureMap, MapShape, RecordMaps, u32_of};
use crate::error::{Error, Result};
use crate::gpu::shaders::files::space_to_depth;
use crate::gpu::shaders::uniforms::space_to_depth as uniforms;
use crate::gpu::{Cost, Recording};

const OP: &str = "space_to_depth";
/// Blocks of pixels as channels: `[N, C, H, W]` to `[N, stride * stride * C, size]`. The first block starts `padding` before the map;
/// values outside of the map are zero.
///
/// # Errors
/// A stride of 0, a grouped map, and sizes that a shader can't index.
pub fn space_to_depth(
    r: &mut Recording,
    label: &str,
    input: FeatureMap,
    stride: [usize; 2],
    padding: [usize; 2],
    size: [usize; 2],
) -> Result<FeatureMap> {
    if stride.contains(&0) || size.contains(&0) || input.c4 != input.c.div_ceil(4) {
        let problem =
            format!("{label}: a stride of 0, no blocks, or channels in groups; give whole blocks of one group");
        return Err(Error::shape(OP, problem));
    }
    let of = |value| u32_of(OP, "a map", value);
    let channels = stride[0].saturating_mul(stride[1]).saturating_mul(input.c);
    of(channels)?;
    let output = MapShape::new([input.n, channels, size[0], size[1]])?.stored(input.precision);
    // Offsets to values must fit in 32 bits too.
    for axis in 0..2 {
        of(size[axis].saturating_mul(stride[axis]).saturating_add(padding[axis]).saturating_mul(2))?;
    }
    let output = r.map(label, output);
    let params = uniforms::SpaceToDepth {
        in_height: of(input.h)?,
        in_width: of(input.w)?,
        in_pitch: of(input.pitch4 * 4)?,
        in_channels: of(input.c)?,
        out_height: of(output.h)?,
        out_width: of(output.w)?,
        out_pitch: of(output.pitch4 * 4)?,
        blocks: of(output.pixels())?,
        stride: [of(stride[0])?, of(stride[1])?],
        padding: [of(padding[0])?, of(padding[1])?],
    };
    let cost = Cost { flops: 0.0, bytes: (input.bytes() + output.bytes()) as f64 };
    let (kernel, tensors) = (input.precision.kernel(space_to_depth::FILE)?, [input.tensor, output.tensor]);
    dispatch_items(r, label, kernel, &tensors, bytemuck::bytes_of(&params), output.pixels(), cost)?;
    Ok(output)
}
