//! The passes over a convolution.

use super::spec::Conv2d;
use crate::ops::Precision;

/// The passes over a convolution. Each has its own algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conv2dPass {
    Forward,
    /// The input gradient.
    ByInput,
    /// The weight gradient.
    ByWeight,
}

impl Conv2dPass {
    pub const ALL: [Self; 3] = [Self::Forward, Self::ByInput, Self::ByWeight];

    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::ByInput => "by input",
            Self::ByWeight => "by weight",
        }
    }

    /// The key of a choice of algorithm: the pass, the precision, the convolution and the size of its input, but not the batch.
    pub fn key(self, conv: &Conv2d, [height, width]: [usize; 2], precision: Precision) -> String {
        let [k, c, r, s] = conv.weight_shape();
        let a = &conv.attributes;
        let pair = |[a, b]: [usize; 2]| format!("{a}x{b}");
        format!(
            "{} {} {k}x{c}x{r}x{s} stride {} padding {} dilation {} groups {} on {height}x{width}",
            self.name(),
            precision.name(),
            pair(a.stride),
            pair(a.padding),
            pair(a.dilation),
            a.groups
        )
    }
}

/// The direction of a kernel that reads weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::ops) enum Direction {
    Forward,
    /// From grad_output to grad_input.
    Transposed,
}
