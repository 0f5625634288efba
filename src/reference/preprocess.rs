//! `preprocess`: `output[n,c,y,x] = (pixels[n,y,x,c] / 255 - mean[c]) / std[c]`, torchvision's `ToTensor` and `Normalize`.

use super::Tensor;

/// 8-bit RGB images, `[N, H, W, 3]` in `shape` order, as a normalised `[N, 3, H, W]` tensor. `mean` and `std` are of
/// values from 0 to 1.
pub fn preprocess(pixels: &[u8], [n, h, w]: [usize; 3], mean: [f64; 3], std: [f64; 3]) -> Tensor {
    assert_eq!(pixels.len(), n * h * w * 3, "[{n}, {h}, {w}, 3] needs another number of bytes");
    let mut output = Tensor::zeros(&[n, 3, h, w]);
    for (offset, &value) in pixels.iter().enumerate() {
        let (pixel, channel) = (offset / 3, offset % 3);
        let (image, position) = (pixel / (h * w), pixel % (h * w));
        let normalised = (f64::from(value) / 255.0 - mean[channel]) / std[channel];
        output.data[(image * 3 + channel) * h * w + position] = normalised;
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_become_planes() {
        let pixels = [0, 51, 255, 255, 102, 0];
        let found = preprocess(&pixels, [1, 1, 2], [0.0, 0.2, 0.5], [1.0, 2.0, 0.5]);
        assert_eq!(found.shape, [1, 3, 1, 2]);
        assert_eq!(found.data, [0.0, 1.0, 0.0, 0.1, 1.0, -1.0]);
    }
}
