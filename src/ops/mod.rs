//! The operations: typed specs that check shapes and append dispatches to a recording. Only this module knows which
//! shader computes what, and how its buffers and uniform blocks are laid out.
//!
//! One operation is one name in four places: `shaders/NAME.wgsl`, `src/ops/NAME.rs`, its f64 twin
//! `src/reference/NAME.rs`, and `tests/ops/NAME.rs`.

pub mod adam;
pub mod attributes;
pub mod batch_norm;
pub mod clip_grad_norm;
pub mod conv2d;
pub(crate) mod conv2d_kernels;
#[cfg(test)]
mod conv2d_pairs;
pub mod conv2d_policy;
pub(crate) mod conv2d_variant;
pub mod cross_entropy;
pub mod elementwise;
pub mod ema;
mod feature_map;
pub mod head_step;
mod head_tensors;
pub mod host;
pub mod linear;
pub mod loss_scale;
pub mod peak;
pub mod pool;
mod precision;
pub mod preprocess;
pub mod sgd;
pub mod shortcut_pad;
pub mod space_to_depth;

pub use conv2d::{
    Conv2d, Conv2dAlgorithm, Conv2dPass, Conv2dSwitch, ConvOperands, ConvPlan, ConvTarget, Epilogue, GradEpilogue,
    MOST_PARTS, SpaceToDepth, WeightLayout, Winograd, WinogradTile,
};
pub use conv2d_variant::Conv2dVariant;
pub use feature_map::{
    FeatureMap, MapShape, RecordMaps, channels4, pack_channels, pack_nhwc, pack_rows, unpack_channels, unpack_nhwc,
    unpack_rows,
};
pub use precision::Precision;

use crate::error::Result;
use crate::gpu::{Cost, Dispatch, KernelSpec, Recording, TensorId, fold_workgroups};

/// The values that operations give to the shaders' `override` constant `name`. Constants must be listed here, or they cannot be checked
/// without a GPU (`verify --offline-shaders`).
pub fn constant_values(name: &str) -> Option<(&'static str, &'static [u32])> {
    match name {
        "POINTWISE" => Some(("POINTWISE", &[0, 1])),
        // Set by the device: `AdapterReport::matrix_lanes`.
        "LANES" => Some(("LANES", &[8, 32, 64])),
        "WHOLE" => Some(("WHOLE", &[0, 1])),
        _ => None,
    }
}

/// Appends a dispatch of a kernel with one invocation per item.
fn dispatch_items(
    recording: &mut Recording,
    label: &str,
    kernel: KernelSpec,
    tensors: &[TensorId],
    params: &[u8],
    items: usize,
    cost: Cost,
) -> Result<()> {
    let [x, y, z] = kernel.reflect()?.workgroup_size;
    let per_workgroup = u64::from(x * y * z);
    recording.dispatch(Dispatch {
        label: label.to_owned(),
        kernel,
        tensors: tensors.to_vec(),
        params: params.to_vec(),
        workgroups: fold_workgroups((items as u64).div_ceil(per_workgroup)),
        cost,
    });
    Ok(())
}
