//! The CPU twins: every operation in f64, as plain as its formula, forward and backward side by side in one file.
//!
//! They are what the shaders are compared with, so they stay simple rather than fast, and are themselves compared with
//! PyTorch (`tests/reference.rs`) and with finite differences. Layouts are PyTorch's: activations NCHW, weights OIHW.
//! Arguments are validated by `crate::ops`; here an impossible shape is a bug and panics.

mod adam;
mod adamw;
mod add;
mod add_relu;
mod avg_pool2d;
mod batch_norm;
mod clip_grad_norm;
mod compare;
mod conv2d;
mod cross_entropy;
mod ema;
#[cfg(test)]
mod finite_difference;
mod global_avg_pool;
mod gradients;
mod linear;
mod loss_scale;
mod max_pool2d;
mod preprocess;
mod relu;
mod sgd;
mod shortcut_pad;
mod space_to_depth;
mod tensor;
mod window;

pub use crate::ops::attributes::{
    AdamAttributes, BatchNormAttributes, Conv2dAttributes, CrossEntropyAttributes, PoolAttributes, SgdAttributes,
};
pub use adam::{AdamState, adam};
pub use adamw::adamw;
pub use add::{add, add_backward};
pub use add_relu::{add_relu, add_relu_backward};
pub use avg_pool2d::{avg_pool2d, avg_pool2d_backward};
pub use batch_norm::{BatchNormOutput, batch_norm, batch_norm_backward};
pub use clip_grad_norm::clip_grad_norm;
pub use compare::{Comparison, compare, compare_f64};
pub use conv2d::{conv2d, conv2d_backward};
pub use cross_entropy::{CrossEntropyOutput, cross_entropy};
pub use ema::ema;
pub use global_avg_pool::{global_avg_pool, global_avg_pool_backward};
pub use gradients::Gradients;
pub use linear::{linear, linear_backward};
pub use loss_scale::{scale, unscale};
pub use max_pool2d::{max_pool2d, max_pool2d_backward, max_pool2d_indices};
pub use preprocess::preprocess;
pub use relu::{relu, relu_backward};
pub use sgd::{SgdState, sgd};
pub use shortcut_pad::{shortcut_pad, shortcut_pad_backward};
pub use space_to_depth::space_to_depth;
pub use tensor::Tensor;
