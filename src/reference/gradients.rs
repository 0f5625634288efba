//! The gradients that several operations have alike.

use super::Tensor;

/// The gradients of an operation that has an input, a weight and a bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// With respect to the input, in its shape.
    pub grad_input: Tensor,
    /// With respect to the weight, in its shape.
    pub grad_weight: Tensor,
    /// With respect to the bias, one per output channel.
    pub grad_bias: Tensor,
}
