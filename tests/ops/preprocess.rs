use gpu_resnet::ops::host;
use gpu_resnet::reference::preprocess;
use pollster::FutureExt as _;

use crate::support::{adapters, passes, refused};

const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STD: [f64; 3] = [0.229, 0.224, 0.225];

fn pixels([n, h, w]: [usize; 3]) -> Vec<u8> {
    (0..n * h * w * 3).map(|i| (i * 89 + i / 7) as u8).collect()
}

fn f32s(values: [f64; 3]) -> [f32; 3] {
    values.map(|value| value as f32)
}

#[test]
fn turned_channels_are_caught() {
    let dims = [1, 5, 7];
    let pixels = pixels(dims);
    let expected = preprocess(&pixels, dims, MEAN, STD);
    let turned = [MEAN[2], MEAN[1], MEAN[0]];
    for gpu in adapters().iter() {
        let found = host::preprocess(gpu, &pixels, dims, f32s(turned), f32s(STD)).block_on().expect("a result");
        assert!(!passes(&found.data, &expected.data));
    }
}

#[test]
fn impossible_shapes_are_refused() {
    let [mean, std] = [f32s(MEAN), f32s(STD)];
    for gpu in adapters().iter() {
        refused(gpu, "too few bytes", host::preprocess(gpu, &[0; 11], [1, 2, 2], mean, std).block_on());
        refused(gpu, "no image", host::preprocess(gpu, &[], [0, 2, 2], mean, std).block_on());
        refused(gpu, "past an integer", host::preprocess(gpu, &[0; 12], [usize::MAX, 2, 2], mean, std).block_on());
    }
}
