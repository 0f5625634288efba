//! Weights at Winograd's points (`G g G'`), packed for the product there: on the host in f64, or on the GPU.

use super::packing::Packing;
use super::pass::Direction;
use super::spec::Conv2d;
use super::winograd::{Part, WinogradTile};
use crate::error::Result;
use crate::gpu::shaders::uniforms::winograd_weight;
use crate::gpu::{Cost, Recording, TensorId};
use crate::ops::dispatch_items;
use crate::ops::feature_map::u32_of;

const TAPS: usize = 9;

/// The matrix G: a 3-tap weight's values at the points of a tile, in f64.
fn weight_points(tile: WinogradTile, [a, b, c]: [f64; 3]) -> Vec<f64> {
    match tile {
        WinogradTile::Two => vec![-a, 0.5 * (a + b + c), 0.5 * (a - b + c), c],
        WinogradTile::Four => {
            let (p, q): (f64, f64) = (0.75, 1.5);
            let (p2, q2) = (p * p, q * q);
            let (n, m) = (2.0 * p2 * (p2 - q2), 2.0 * q2 * (q2 - p2));
            vec![
                a / (p2 * q2),
                (a + p * b + p2 * c) / n,
                (a - p * b + p2 * c) / n,
                (a + q * b + q2 * c) / m,
                (a - q * b + q2 * c) / m,
                c,
            ]
        }
    }
}

/// The weight of a convolution at the points of a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct WinogradWeight {
    pub conv: Conv2d,
    pub tile: WinogradTile,
    pub direction: Direction,
    pub packing: Packing,
}

impl WinogradWeight {
    /// Packs an OIHW weight.
    pub fn pack(&self, weight: &[f32]) -> Vec<f32> {
        let Self { packing, direction, .. } = *self;
        let mut out = vec![0.0; packing.elements()];
        let inputs = self.conv.in_channels;
        for (at, taps) in weight.chunks_exact(TAPS).enumerate() {
            let (k, c) = (at / inputs, at % inputs);
            let (row, column) = if direction == Direction::Forward { (c, k) } else { (k, c) };
            for (point, value) in self.at_points(taps).into_iter().enumerate() {
                out[packing.index(point, 0, row, column)] = value as f32;
            }
        }
        out
    }

    /// `G g G'` of nine taps, which the input gradient rotates by 180 degrees.
    fn at_points(&self, taps: &[f32]) -> Vec<f64> {
        let tap = |i: usize| f64::from(taps[if self.direction == Direction::Forward { i } else { TAPS - 1 - i }]);
        let rows = [0, 3, 6].map(|row| weight_points(self.tile, [tap(row), tap(row + 1), tap(row + 2)]));
        let side = self.tile.outputs() + 2;
        let columns =
            (0..side).map(|column| weight_points(self.tile, [rows[0][column], rows[1][column], rows[2][column]]));
        let columns: Vec<Vec<f64>> = columns.collect();
        (0..side * side).map(|point| columns[point % side][point / side]).collect()
    }

    /// Appends the packing of a KRSC weight.
    pub fn record(&self, r: &mut Recording, label: &str, weight: TensorId) -> Result<TensorId> {
        let Self { packing, direction, .. } = *self;
        let elements = packing.elements();
        let packed = r.temporary(label, (elements * 4) as u64);
        let size = |value| u32_of("conv2d", "a weight", value);
        size(elements)?;
        let params = winograd_weight::Pack {
            tiles: size(packing.tiles)?,
            rows: size(packing.rows)?,
            side4: size(packing.side / 4)?,
            outputs: size(self.conv.out_channels)?,
            inputs: size(self.conv.in_channels)?,
            transposed: u32::from(direction == Direction::Transposed),
            end: [0; 2],
        };
        let cost = Cost { flops: 0.0, bytes: (elements * 4) as f64 };
        let kernel = self.tile.kernel(Part::Weight, false);
        let items = packing.tiles * packing.rows * packing.side / 4;
        dispatch_items(r, label, kernel, &[weight, packed], bytemuck::bytes_of(&params), items, cost)?;
        Ok(packed)
    }
}
