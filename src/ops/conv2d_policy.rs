//! Which kernel computes a convolution where nothing was measured and nothing asked for: one pure function of the adapter, the pass, the
//! convolution, its map and the number of images.
//!
//! What changes the bits of a result (Winograd's way, the number of parts of a reduction, cooperative matrices) goes by the adapter, the
//! convolution and its map alone, so that an image's result is the same in whatever batch it comes. Sizes of tiles
//! change no bit and follow the batch. `docs/internals/kernels.md` says it in words.

mod hardware;
mod parts;
mod software;
mod vendors;

#[cfg(test)]
use super::MOST_PARTS;
use super::{Conv2d, Conv2dAlgorithm, Conv2dPass, Conv2dVariant, Precision};
use crate::gpu::AdapterReport;

pub use vendors::Vendor;

/// One convolution as a plan meets it.
#[derive(Debug, Clone, Copy)]
pub struct Convolution {
    pub conv: Conv2d,
    /// Images, height and width of the convolution's input.
    pub map: [usize; 3],
    pub precision: Precision,
}

/// What is expected to be fastest for `pass` over `convolution` on `adapter`.
pub fn choose(adapter: &AdapterReport, pass: Conv2dPass, convolution: &Convolution) -> Conv2dAlgorithm {
    match adapter.kind.as_str() {
        "cpu" => software::choose(adapter, convolution),
        _ => hardware::choose(adapter, pass, convolution),
    }
}

/// The two or three that may be fastest, the likeliest first: what is worth timing at first use.
pub fn candidates(adapter: &AdapterReport, pass: Conv2dPass, convolution: &Convolution) -> Vec<Conv2dAlgorithm> {
    match adapter.kind.as_str() {
        "cpu" => vec![software::choose(adapter, convolution)],
        _ => hardware::candidates(adapter, pass, convolution),
    }
}

/// The kernels that plans take on `adapter`, the one that suits it best first.
pub fn variants(adapter: &AdapterReport) -> Vec<Conv2dVariant> {
    let all: Vec<Conv2dVariant> = match adapter.kind.as_str() {
        "cpu" => software::preferred(adapter).into_iter().collect(),
        _ => hardware::variants(adapter),
    };
    if all.is_empty() { vec![Conv2dVariant::Register] } else { all }
}

#[cfg(test)]
mod tests;
