//! Packed RGB bytes to normalised activations: torchvision's `ToTensor` and `Normalize`, on the GPU.

use super::feature_map::{FeatureMap, MapShape, RecordMaps, u32_of};
use super::{Precision, dispatch_items};
use crate::error::Result;
use crate::gpu::shaders::files::preprocess;
use crate::gpu::shaders::uniforms::preprocess::Preprocess;
use crate::gpu::{Cost, Recording, TensorId};

/// `bytes` holds `n` images of `h` x `w` pixels as HWC RGB; mean and std are fractions of 255; the map is of `precision`.
pub fn preprocess(
    recording: &mut Recording,
    label: &str,
    bytes: TensorId,
    [n, h, w]: [usize; 3],
    mean: [f32; 3],
    std: [f32; 3],
    precision: Precision,
) -> Result<FeatureMap> {
    const OP: &str = "preprocess";
    // The map has at least as many values as bytes, so it bounds the shader's indices.
    let output = recording.map(label, MapShape::new([n, 3, h, w])?.stored(precision));
    let wide = |[r, g, b]: [f32; 3], last| [r, g, b, last];
    let params = Preprocess {
        mean: wide(mean, 0.0),
        deviation: wide(std, 1.0),
        pixels: u32_of(OP, "a batch", output.pixels())?,
        end: [0; 3],
    };
    let cost =
        Cost { flops: (output.pixels() * 9) as f64, bytes: (output.pixels() * 3) as f64 + output.bytes() as f64 };
    let tensors = [bytes, output.tensor];
    dispatch_items(
        recording,
        label,
        precision.kernel(preprocess::FILE)?,
        &tensors,
        bytemuck::bytes_of(&params),
        output.pixels(),
        cost,
    )?;
    Ok(output)
}
