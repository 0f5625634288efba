//! One operation on host tensors in PyTorch's layouts: packed, run through a recording and a plan, and unpacked.
//!
//! This is how kernels are tried one at a time (the `op` command, the tests). Every argument is checked first, so that
//! whatever the tensors are, the answer is a result or an error. Every tensor that a kernel writes is filled with NaN
//! before the run and has guard words after its end, which are checked, on every call: a kernel that leaves a hole or
//! writes past the end can't go unnoticed.

mod array;
mod head;
mod maps;
mod optimisers;
mod session;

pub use array::Array;
pub use head::{LinearGradients, cross_entropy, linear, linear_backward};
pub use maps::{
    BatchNormOutput, add, add_relu, avg_pool2d, batch_norm, conv2d, conv2d_fused, global_avg_pool, max_pool2d,
    preprocess, relu, shortcut_pad,
};
pub use optimisers::{AdamState, adam, sgd};
