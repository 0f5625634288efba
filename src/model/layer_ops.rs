//! The operations of layers.

use super::Pool;
use super::layers::ConvBn;
use crate::ops::Conv2d;
use crate::ops::attributes::{Conv2dAttributes, PoolAttributes};

pub(super) fn pool_attributes(pool: Pool) -> PoolAttributes {
    PoolAttributes {
        kernel_size: [pool.kernel_size; 2],
        stride: [pool.stride; 2],
        padding: [pool.padding; 2],
        ceil_mode: pool.ceil_mode,
    }
}

/// The operation of a layer.
pub fn conv_op(conv: &ConvBn) -> Conv2d {
    Conv2d {
        attributes: Conv2dAttributes {
            stride: [conv.stride; 2],
            padding: [conv.padding; 2],
            dilation: [1, 1],
            groups: conv.groups,
        },
        in_channels: conv.in_channels,
        out_channels: conv.out_channels,
        kernel: [conv.kernel; 2],
    }
}

/// The name of a convolution's weight.
pub(super) fn weight_name(conv: &ConvBn) -> String {
    format!("{}.weight", conv.conv)
}
