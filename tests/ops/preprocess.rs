use gpu_resnet::ops::host;
use gpu_resnet::reference::preprocess;

use crate::support::{Verdicts, adapters, deterministic, passes, refused};

const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STD: [f64; 3] = [0.229, 0.224, 0.225];

fn pixels([n, h, w]: [usize; 3]) -> Vec<u8> {
    (0..n * h * w * 3).map(|i| (i * 89 + i / 7) as u8).collect()
}

fn f32s(values: [f64; 3]) -> [f32; 3] {
    values.map(|value| value as f32)
}

#[test]
fn shapes() {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    let open_nsfw = [123.0 / 255.0, 117.0 / 255.0, 104.0 / 255.0];
    for (dims, mean, std) in [
        ([2, 56, 56], MEAN, STD),
        // 3, 6, 9 and 12 bytes: every remainder of a word.
        ([1, 1, 1], MEAN, STD),
        ([1, 1, 2], MEAN, STD),
        ([3, 1, 1], MEAN, STD),
        ([1, 2, 2], MEAN, STD),
        ([1, 17, 13], open_nsfw, [1.0 / 255.0; 3]),
        ([1, 16, 16], [0.0; 3], [1.0; 3]),
    ] {
        let pixels = pixels(dims);
        let expected = preprocess(&pixels, dims, mean, std);
        for gpu in adapters.iter() {
            let found = host::preprocess(gpu, &pixels, dims, f32s(mean), f32s(std));
            verdicts.compare(gpu, &format!("{dims:?} {mean:?}"), found, &expected);
        }
    }
    drop(adapters);
    verdicts.finish("preprocess");
}

#[test]
fn turned_channels_are_caught() {
    let dims = [1, 5, 7];
    let pixels = pixels(dims);
    let expected = preprocess(&pixels, dims, MEAN, STD);
    let turned = [MEAN[2], MEAN[1], MEAN[0]];
    for gpu in adapters().iter() {
        let found = host::preprocess(gpu, &pixels, dims, f32s(turned), f32s(STD)).expect("a result");
        assert!(!passes(&found.data, &expected.data));
    }
}

#[test]
fn the_same_bits_every_time() {
    let dims = [2, 9, 11];
    deterministic(|gpu| vec![host::preprocess(gpu, &pixels(dims), dims, f32s(MEAN), f32s(STD)).expect("a result")]);
}

#[test]
fn impossible_shapes_are_refused() {
    let [mean, std] = [f32s(MEAN), f32s(STD)];
    for gpu in adapters().iter() {
        refused(gpu, "too few bytes", host::preprocess(gpu, &[0; 11], [1, 2, 2], mean, std));
        refused(gpu, "no image", host::preprocess(gpu, &[], [0, 2, 2], mean, std));
        refused(gpu, "past an integer", host::preprocess(gpu, &[0; 12], [usize::MAX, 2, 2], mean, std));
    }
}
