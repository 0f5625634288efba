//! The choice of an algorithm for a convolution without measurements and without a request: a pure function of the adapter, the pass, the
//! convolution, its map and the number of images.
//!
//! Whatever changes the bits of a result (Winograd, the number of parts of a reduction, cooperative matrices) depends on the adapter, the
//! convolution and its map alone. An image's result is therefore the same in any batch. Tile sizes change no bits, so they
//! follow the batch. `docs/internals/kernels.md` explains the rules.

mod hardware;
mod parts;
mod software;
mod vendors;

#[cfg(test)]
use super::MOST_PARTS;
use super::{Conv2d, Conv2dAlgorithm, Conv2dPass, Conv2dVariant, Precision};
use crate::gpu::AdapterReport;

pub use vendors::Vendor;

/// A convolution with the shape of its input.
#[derive(Debug, Clone, Copy)]
pub struct Convolution {
    pub conv: Conv2d,
    /// Images, height and width of the convolution's input.
    pub map: [usize; 3],
    pub precision: Precision,
}

/// The algorithm that is expected to be fastest for `pass` over `convolution` on `adapter`.
pub fn choose(adapter: &AdapterReport, pass: Conv2dPass, convolution: &Convolution) -> Conv2dAlgorithm {
    match adapter.kind.as_str() {
        "cpu" => software::choose(adapter, convolution),
        _ => hardware::choose(adapter, pass, convolution),
    }
}

/// The two or three algorithms that may be fastest, the most likely first. These are worth timing at first use.
pub fn candidates(adapter: &AdapterReport, pass: Conv2dPass, convolution: &Convolution) -> Vec<Conv2dAlgorithm> {
    match adapter.kind.as_str() {
        "cpu" => vec![software::choose(adapter, convolution)],
        _ => hardware::candidates(adapter, pass, convolution),
    }
}

/// The kernels that plans use on `adapter`, the best suited first.
pub fn variants(adapter: &AdapterReport) -> Vec<Conv2dVariant> {
    let all: Vec<Conv2dVariant> = match adapter.kind.as_str() {
        "cpu" => software::preferred(adapter).into_iter().collect(),
        _ => hardware::variants(adapter),
    };
    if all.is_empty() { vec![Conv2dVariant::Register] } else { all }
}

#[cfg(test)]
mod tests;
