//! The packed weight of a pass: number of values, order and precision, and the packing from PyTorch's OIHW on the host or from the trained
//! KRSC weight on the GPU.

use std::borrow::Cow;

use super::algorithm::Conv2dAlgorithm;
use super::depth::{SpaceToDepth, SpaceToDepthWeight};
use super::packing::Packing;
use super::pass::{Conv2dPass, Direction};
use super::spec::Conv2d;
use super::winograd::{Winograd, WinogradTile};
use super::winograd_weight::WinogradWeight;
use crate::error::{Error, Result};
use crate::gpu::{Recording, TensorId};
use crate::ops::Precision;

/// The transform of the taps before packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Taps {
    AsTheyAre,
    /// To the points of Winograd tiles.
    Winograd(WinogradTile),
    /// Space-to-depth: the taps of a block become channels.
    SpaceToDepth,
}

/// The layout of a packed weight. Kernels with equal layouts read the same packed weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WeightLayout {
    conv: Conv2d,
    direction: Direction,
    taps: Taps,
    packing: Packing,
    precision: Precision,
}

impl WeightLayout {
    /// The layout of the weight of `conv` for `algorithm` in `pass`, over maps in the precision `maps`.
    ///
    /// # Errors
    /// An algorithm that does not apply to the convolution, and the weight gradient, which reads no weight.
    pub fn new(conv: &Conv2d, pass: Conv2dPass, algorithm: Conv2dAlgorithm, maps: Precision) -> Result<Self> {
        let refused = |why| Error::shape("conv2d", why);
        algorithm.fits(conv).map_err(refused)?;
        let direction = match pass {
            Conv2dPass::Forward => Direction::Forward,
            Conv2dPass::ByInput => Direction::Transposed,
            Conv2dPass::ByWeight => return Err(refused("a weight gradient reads no weight".into())),
        };
        let precision = algorithm.weight_precision(maps);
        let (taps, packing) = match algorithm {
            Conv2dAlgorithm::Winograd(tile, variant) => {
                let products = Winograd::new(*conv, tile, variant).map_err(refused)?.products();
                (Taps::Winograd(tile), Packing::new(&products, variant, direction))
            }
            Conv2dAlgorithm::SpaceToDepth(variant) if direction == Direction::Forward => {
                let inner = SpaceToDepth::new(*conv, variant).map_err(refused)?.inner();
                (Taps::SpaceToDepth, Packing::new(&inner, variant, direction))
            }
            _ => (Taps::AsTheyAre, Packing::new(conv, algorithm.variant(), direction)),
        };
        Ok(Self { conv: *conv, direction, taps, packing, precision })
    }

    /// Extents whose product is the number of values. Separate, so that the product can be checked before an allocation.
    pub fn extents(&self) -> [usize; 5] {
        self.packing.extents()
    }

    /// The precision of the packed values.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Packs an OIHW weight, without rounding to the layout's precision.
    pub fn pack(&self, weight: &[f32]) -> Vec<f32> {
        match self.taps {
            Taps::AsTheyAre => self.packing.pack(&self.conv, self.direction, weight),
            Taps::Winograd(tile) => self.at_points(tile).pack(weight),
            Taps::SpaceToDepth => self.over_blocks().pack(weight),
        }
    }

    /// The same, rounded, as words for the upload.
    pub fn pack_words(&self, weight: &[f32]) -> Vec<u32> {
        let packed = self.pack(weight);
        match self.precision.words(&packed) {
            Cow::Owned(words) => words,
            Cow::Borrowed(words) => words.to_vec(),
        }
    }

    /// Appends the packing of an f32 KRSC weight.
    pub fn record_pack(&self, r: &mut Recording, label: &str, weight: TensorId) -> Result<TensorId> {
        match self.taps {
            Taps::AsTheyAre => self.packing.record(&self.conv, self.direction, r, label, weight, self.precision),
            Taps::Winograd(tile) => self.at_points(tile).record(r, label, weight),
            Taps::SpaceToDepth => self.over_blocks().record(r, label, weight, self.precision),
        }
    }

    fn at_points(&self, tile: WinogradTile) -> WinogradWeight {
        WinogradWeight { conv: self.conv, tile, direction: self.direction, packing: self.packing }
    }

    fn over_blocks(&self) -> SpaceToDepthWeight {
        SpaceToDepthWeight { conv: self.conv, packing: self.packing }
    }
}
