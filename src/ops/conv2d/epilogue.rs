//! What happens to a convolution's sums before they are stored.

use crate::error::{Error, Result};
use crate::gpu::TensorId;
use crate::ops::feature_map::{FeatureMap, MapShape};

/// The epilogue of a forward convolution.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue {
    /// Added to each channel; packed by [`Conv2d::pack_bias`](super::Conv2d::pack_bias).
    pub bias: Option<TensorId>,
    /// Added to each element; of the output's shape.
    pub residual: Option<FeatureMap>,
    /// `max(x, 0)` at the end.
    pub relu: bool,
}

/// The epilogue of an input gradient.
#[derive(Debug, Clone, Copy, Default)]
pub struct GradEpilogue {
    /// Added to each element: the gradient that reaches the same input along another path.
    pub residual: Option<FeatureMap>,
    /// The convolution's input, if it is the output of a ReLU. The result is then the gradient before this ReLU: zero where the input
    /// is not above zero.
    pub rectified: Option<FeatureMap>,
}

/// Either epilogue, as kernels read it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ending {
    pub bias: Option<TensorId>,
    pub residual: Option<FeatureMap>,
    pub relu: bool,
    pub rectified: Option<FeatureMap>,
}

impl From<Epilogue> for Ending {
    fn from(Epilogue { bias, residual, relu }: Epilogue) -> Self {
        Self { bias, residual, relu, rectified: None }
    }
}

impl From<GradEpilogue> for Ending {
    fn from(GradEpilogue { residual, rectified }: GradEpilogue) -> Self {
        Self { bias: None, residual, relu: false, rectified }
    }
}

impl Ending {
    /// The number of maps of the output's shape that the epilogue reads or writes, including the output.
    pub fn maps(&self) -> u64 {
        1 + u64::from(self.residual.is_some()) + u64::from(self.rectified.is_some())
    }

    /// Checks that it fits the `output` of the convolution `label`.
    pub fn check(&self, label: &str, output: MapShape) -> Result<()> {
        let maps = [self.residual, self.rectified].into_iter().flatten();
        let Some(other) = maps.into_iter().find(|map| map.shape != output) else { return Ok(()) };
        let (f, e) = (other, output);
        let problem =
            format!("{label}: the residual is {}x{}x{} and the output {}x{}x{}", f.c, f.h, f.w, e.c, e.h, e.w);
        Err(Error::shape("conv2d", problem))
    }
}
