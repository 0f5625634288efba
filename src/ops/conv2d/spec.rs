//! One convolution: its channels, kernel and attributes.

use crate::error::Result;
use crate::ops::attributes::Conv2dAttributes;
use crate::ops::feature_map::pack_channels;

/// One convolution: its channels, kernel and attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2d {
    pub attributes: Conv2dAttributes,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
}

impl Conv2d {
    /// PyTorch's shape of the weight: `[K, C / groups, R, S]`.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.out_channels, self.in_channels / self.attributes.groups.max(1), self.kernel[0], self.kernel[1]]
    }

    /// Packs a bias (zeros if there is none) as the epilogue reads it.
    pub fn pack_bias(&self, bias: Option<&[f32]>) -> Vec<f32> {
        let zeros = vec![0.0; self.out_channels];
        pack_channels(bias.unwrap_or(&zeros), self.attributes.groups)
    }

    /// Output shape NCHW for an input shape NCHW.
    pub fn output_shape(&self, input: [usize; 4]) -> Result<[usize; 4]> {
        self.attributes.output_shape(input, self.weight_shape())
    }
}
