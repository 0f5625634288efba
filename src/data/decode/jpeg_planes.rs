//! A JPEG's components as planes of samples, and the picture that they make: as libjpeg enlarges and colours them (`jdsample.c`,
//! `jdcolor.c`), bit for bit.

use super::jpeg_header::{Colors, Component, Frame};
use super::jpeg_idct::{inverse, inverse_of_dc};

/// One component's samples.
pub(super) struct Plane {
    samples: Vec<u8>,
    /// Samples of a row in memory: whole blocks of whole MCUs.
    stride: usize,
    /// The samples that belong to the picture.
    width: usize,
    height: usize,
    /// How many columns and rows of the picture one sample stands for.
    across: usize,
    down: usize,
}

impl Plane {
    /// An empty plane for each component of `frame`; none if libjpeg would not read the sampling factors either.
    pub(super) fn all(frame: &Frame) -> Option<Vec<Self>> {
        let (horizontal, vertical) = frame.most();
        let (width, height) = (usize::from(frame.width), usize::from(frame.height));
        let plane = |c: &Component| {
            let (h, v) = (usize::from(c.horizontal), usize::from(c.vertical));
            if horizontal % h != 0 || vertical % v != 0 {
                return None;
            }
            let stride = width.div_ceil(8 * horizontal) * 8 * h;
            let rows = height.div_ceil(8 * vertical) * 8 * v;
            Some(Plane {
                samples: vec![0; stride * rows],
                stride,
                width: (width * h).div_ceil(horizontal),
                height: (height * v).div_ceil(vertical),
                across: horizontal / h,
                down: vertical / v,
            })
        };
        frame.components.iter().map(plane).collect()
    }

    /// Blocks in a row, and rows of blocks.
    pub(super) fn blocks(&self) -> (usize, usize) {
        (self.stride / 8, self.samples.len() / self.stride / 8)
    }

    /// Sets the block in column `x` and row `y` of blocks. `block` are its dequantised coefficients, and `places` is their places,
    /// without that of DC and of zeros, combined by "or".
    #[inline(always)]
    pub(super) fn set(&mut self, x: usize, y: usize, block: &[i32; 64], places: u8) {
        let samples = match places {
            0 => [inverse_of_dc(block[0]); 64],
            // Rows and columns below 4.
            _ if places & 0o44 == 0 => inverse::<true>(block),
            _ => inverse::<false>(block),
        };
        let rows = self.samples[8 * (y * self.stride + x)..].chunks_mut(self.stride);
        for (row, samples) in rows.zip(samples.as_chunks::<8>().0) {
            row[..8].copy_from_slice(samples);
        }
    }

    fn row(&self, y: usize) -> &[u8] {
        &self.samples[y * self.stride..][..self.width]
    }

    /// Row `y` of the picture, of which `row` takes all columns and perhaps a few more.
    fn enlarge<'a>(&'a self, y: usize, row: &'a mut Vec<u8>) -> &'a [u8] {
        let near = self.row(y / self.down);
        // Samples are not blended along rows that are so short, nor along columns where rows would be blended too.
        let narrow = self.width <= 2;
        match (self.across, self.down) {
            (1, 1) => return near,
            (2, 1) if !narrow => blend_rows(near, row),
            (1, 2) => {
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                row.clear();
                let pairs = near.iter().zip(self.other(y));
                row.extend(pairs.map(|(&a, &b)| ((3 * u16::from(a) + u16::from(b) + bias) >> 2) as u8));
            }
            (2, 2) if !narrow => blend_both(near, self.other(y), row),
            (across, _) => {
                row.clear();
                row.extend(near.iter().flat_map(|&sample| std::iter::repeat_n(sample, across)));
            }
        }
        row
    }

    /// The row that is blended into row `y` of the picture, where each row is two of them; at the edges the nearest itself.
    fn other(&self, y: usize) -> &[u8] {
        let near = y / 2;
        self.row(if y.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(self.height - 1) })
    }
}

/// Twice as many samples: three parts of the nearest, one of the next.
fn blend_rows(near: &[u8], row: &mut Vec<u8>) {
    let last = near.len() - 1;
    let part = |a: u8, b: u8, bias: u16| ((3 * u16::from(a) + u16::from(b) + bias) >> 2) as u8;
    row.resize(2 * near.len(), 0);
    (row[0], row[1]) = (near[0], part(near[0], near[1], 2));
    for (w, pair) in near.windows(3).zip(row[2..].as_chunks_mut::<2>().0) {
        *pair = [part(w[1], w[0], 1), part(w[1], w[2], 2)];
    }
    (row[2 * last], row[2 * last + 1]) = (part(near[last], near[last - 1], 1), near[last]);
}

/// The same in both directions, rounded once.
fn blend_both(near: &[u8], other: &[u8], row: &mut Vec<u8>) {
    let sum = |x: usize| 3 * u16::from(near[x]) + u16::from(other[x]);
    let part = |a: u16, b: u16, bias: u16| ((3 * a + b + bias) >> 4) as u8;
    row.resize(2 * near.len(), 0);
    let last = near.len() - 1;
    (row[0], row[1]) = (part(sum(0), sum(0), 8), part(sum(0), sum(1), 7));
    let sums = |near: u8, other: u8| 3 * u16::from(near) + u16::from(other);
    for ((n, o), pair) in near.windows(3).zip(other.windows(3)).zip(row[2..].as_chunks_mut::<2>().0) {
        let (before, here, after) = (sums(n[0], o[0]), sums(n[1], o[1]), sums(n[2], o[2]));
        *pair = [part(here, before, 8), part(here, after, 7)];
    }
    let end = 2 * last;
    (row[end], row[end + 1]) = (part(sum(last), sum(last - 1), 8), part(sum(last), sum(last), 7));
}

/// RGB of the picture that `planes` are of, or none for colours that are not read here.
pub(super) fn rgb(planes: &[Plane], frame: &Frame, colors: Colors) -> Option<Vec<u8>> {
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let mut pixels = vec![0; 3 * width * height];
    let mut rows = [const { Vec::new() }; 3];
    for (y, out) in pixels.chunks_exact_mut(3 * width).enumerate() {
        let out = out.as_chunks_mut::<3>().0;
        match (planes, colors) {
            ([grey], Colors::Grey) => {
                for (pixel, &value) in out.iter_mut().zip(grey.enlarge(y, &mut rows[0])) {
                    *pixel = [value; 3];
                }
            }
            ([a, b, c], Colors::YCbCr | Colors::Rgb) => {
                let [ra, rb, rc] = &mut rows;
                let (a, b, c) = (a.enlarge(y, ra), b.enlarge(y, rb), c.enlarge(y, rc));
                let samples = a.iter().zip(b).zip(c).map(|((&a, &b), &c)| [a, b, c]);
                match colors {
                    Colors::YCbCr => out.iter_mut().zip(samples).for_each(|(pixel, s)| *pixel = from_ycbcr(s)),
                    _ => out.iter_mut().zip(samples).for_each(|(pixel, s)| *pixel = s),
                }
            }
            _ => return None,
        }
    }
    Some(pixels)
}

/// 1.402, 0.34414, 0.71414 and 1.772, with 16 bits behind the point.
#[inline(always)]
fn from_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91_881 * cr + HALF) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
    let blue = y + ((116_130 * cb + HALF) >> 16);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}
