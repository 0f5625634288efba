//! A heat map over an image.

use super::Rgb8;
use crate::error::{Error, Result};

/// The smallest side of the picture: smaller images are enlarged by whole factors, so that their pixels show.
const SIDE: u32 = 224;
/// The opacity of the hottest value.
const COVER: f32 = 0.6;
/// Colours from cold to hot, at equal distances.
const RAMP: [[f32; 3]; 5] =
    [[20.0, 30.0, 120.0], [0.0, 130.0, 220.0], [60.0, 200.0, 90.0], [250.0, 210.0, 40.0], [230.0, 30.0, 20.0]];

/// `image` with `heat` (`[height, width]` of values from 0 to 1, row-major) spread over all of it, interpolated between the
/// centres of its cells as torch's bilinear `interpolate` does.
///
/// # Errors
/// An incomplete image, or heat whose size is not `height * width`, or is 0.
pub fn overlay(image: &Rgb8, heat: &[f32], [height, width]: [usize; 2]) -> Result<Rgb8> {
    image.check("overlay")?;
    if heat.is_empty() || heat.len() != height * width {
        return Err(Error::shape("overlay", format!("{} values for {height} x {width}", heat.len())));
    }
    let factor = SIDE.div_ceil(image.width.min(image.height)).max(1);
    let mut out = Rgb8::black(image.width * factor, image.height * factor);
    let rows: Vec<_> = (0..out.height).map(|y| between(y, out.height, height)).collect();
    let columns: Vec<_> = (0..out.width).map(|x| between(x, out.width, width)).collect();
    let from = image.width as usize;
    let positions = (0..out.height as usize).flat_map(|y| (0..out.width as usize).map(move |x| (y, x)));
    for ((y, x), pixel) in positions.zip(out.pixels.chunks_exact_mut(3)) {
        let ((top, bottom, down), (left, right, across)) = (rows[y], columns[x]);
        let mix = |row: usize| heat[row * width + left] * (1.0 - across) + heat[row * width + right] * across;
        let value = (mix(top) * (1.0 - down) + mix(bottom) * down).clamp(0.0, 1.0);
        let at = (y / factor as usize * from + x / factor as usize) * 3;
        for (channel, (to, ink)) in pixel.iter_mut().zip(colour(value)).enumerate() {
            let cover = COVER * value.sqrt();
            *to = (f32::from(image.pixels[at + channel]) * (1.0 - cover) + ink * cover).round() as u8;
        }
    }
    Ok(out)
}

/// The two cells of `cells` between which pixel `i` of `pixels` lies, and its relative distance from the first.
fn between(i: u32, pixels: u32, cells: usize) -> (usize, usize, f32) {
    let at = ((f64::from(i) + 0.5) * cells as f64 / f64::from(pixels) - 0.5).clamp(0.0, (cells - 1) as f64);
    let first = at as usize;
    (first, (first + 1).min(cells - 1), (at - first as f64) as f32)
}

fn colour(value: f32) -> [f32; 3] {
    let at = value * (RAMP.len() - 1) as f32;
    let first = (at as usize).min(RAMP.len() - 2);
    let (a, b, t) = (RAMP[first], RAMP[first + 1], at - first as f32);
    std::array::from_fn(|channel| a[channel] * (1.0 - t) + b[channel] * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cold_leaves_the_image_and_hot_covers_it() {
        let image = Rgb8 { width: 112, height: 150, pixels: vec![100; 112 * 150 * 3] };
        let cold = overlay(&image, &[0.0; 6], [3, 2]).unwrap();
        assert!((cold.width, cold.height) == (224, 300) && cold.pixels.iter().all(|&p| p == 100));
        let hot = overlay(&image, &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0], [3, 2]).unwrap();
        let at = |y: usize, x: usize| &hot.pixels[(y * 224 + x) * 3..][..3];
        // The upper right corner is the hottest, the lower left untouched.
        assert_eq!((at(0, 223), at(299, 0)), (&[178, 58, 52][..], &[100, 100, 100][..]));
        assert!(overlay(&image, &[0.0; 5], [3, 2]).is_err() && overlay(&image, &[], [0, 0]).is_err());
    }

    /// Expected values are `torch.nn.functional.interpolate(torch.tensor([[[0., 1., 3.]]]), 7, mode="linear")`.
    #[test]
    fn cells_are_mixed_as_torch_mixes_them() {
        let cells = [0.0, 1.0, 3.0];
        let mixed: Vec<f32> =
            (0..7).map(|i| between(i, 7, 3)).map(|(a, b, t)| cells[a] * (1.0 - t) + cells[b] * t).collect();
        let expected = [0.0, 0.142_857_2, 0.571_428_6, 1.0, 1.857_142_8, 2.714_285_6, 3.0];
        assert!(mixed.iter().zip(expected).all(|(m, e)| (m - e).abs() < 1e-6), "{mixed:?}");
    }
}
