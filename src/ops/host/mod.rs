//! One operation on host tensors in PyTorch's layouts: packed, run through a recording and a plan, and unpacked.
//!
//! This is how kernels are tried one at a time (the `op` command, the tests). Every argument is checked first, so that
//! whatever the tensors are, the answer is a result or an error. Every tensor that a kernel writes is filled with NaN
//! before the run and has guard words after its end, which are checked, on every call: a kernel that leaves a hole or
//! writes past the end can't go unnoticed.

mod array;
mod conv2d_backward;
mod conv2d_backward_input;
mod head;
mod maps;
mod maps_backward;
mod optimisers;
mod session;

pub use array::Array;
pub use conv2d_backward::{conv2d_backward, conv2d_backward_fused, pack_weight};
pub use conv2d_backward_input::conv2d_backward_input;
pub use head::{HeadStepOutput, cross_entropy, head_step, linear, linear_backward, linear_by};
pub use maps::{
    BatchNormOutput, MapEpilogue, add, add_relu, avg_pool2d, batch_norm, batch_norm_fused, conv2d, conv2d_fused,
    global_avg_pool, max_pool2d, preprocess, relu, shortcut_pad, space_to_depth,
};
pub use maps_backward::{
    add_relu_backward, avg_pool2d_backward, batch_norm_backward, batch_norm_fused_backward, global_avg_pool_backward,
    max_pool2d_backward, relu_backward, shortcut_pad_backward,
};
pub use optimisers::{
    AdamState, adam, adam_scaled, clip_grad_norm, ema, grad_norm, scale_gradient, sgd, sgd_scaled, unscale_gradient,
};
pub use session::On;

/// The gradients of an operation that has an input, a weight and a bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// In the input's shape.
    pub grad_input: Array,
    /// In the weight's shape.
    pub grad_weight: Array,
    /// One for each output channel or feature.
    pub grad_bias: Array,
}
