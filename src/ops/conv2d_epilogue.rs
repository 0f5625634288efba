//! What happens to a convolution's sums before they are stored.

use super::FeatureMap;
use crate::gpu::TensorId;

/// At the end of a forward convolution.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue {
    /// Added to each channel; packed by [`Conv2d::pack_bias`](super::Conv2d::pack_bias).
    pub bias: Option<TensorId>,
    /// Added to each element; of the output's shape.
    pub residual: Option<FeatureMap>,
    /// `max(x, 0)` at the end.
    pub relu: bool,
}

/// At the end of a gradient by the input.
#[derive(Debug, Clone, Copy, Default)]
pub struct GradEpilogue {
    /// Added to each element: the gradient that reaches the same input by another way.
    pub residual: Option<FeatureMap>,
    /// The convolution's input, if it came out of a ReLU: then the result is the gradient before that, zero where the input is
    /// not above zero.
    pub rectified: Option<FeatureMap>,
}
