//! `preprocess`: 8-bit images to normalised tensors.

use super::super::case::{Body, Case, Expected, Kernel, Operation};
use super::super::key::{Key, PRECISION};
use super::super::report::Direction;
use super::lines::halves;
use crate::ops::host::{self, Array};
use crate::reference;

pub const OPERATIONS: &[Operation] = &[Operation {
    name: "preprocess",
    direction: Direction::Forward,
    keys: &[&[
        Key::size("n"),
        Key::size("h"),
        Key::size("w"),
        Key::word("norm", &["imagenet", "bytes", "none"]),
        PRECISION,
    ]],
    fill: false,
    list: |_| {
        let all = [
            "n=2 h=56 w=56",
            "n=1 h=224 w=224",
            // 3, 6, 9 and 12 bytes: every remainder of a word.
            "n=1 h=1 w=1",
            "n=1 h=1 w=2",
            "n=3 h=1 w=1",
            "n=1 h=2 w=2",
            "n=1 h=17 w=13 norm=bytes",
            "n=1 h=16 w=16 norm=none",
        ];
        let halves = halves(&["n=1 h=17 w=13", "n=1 h=1 w=1 norm=none"]);
        all.map(str::to_owned).into_iter().chain(halves).collect()
    },
    flops: |case| 9.0 * pixels(case) as f64,
    body: Body::Kernel(Kernel {
        inputs: |case| {
            let byte = |value: f32| ((value + 2.0) * 64.0).floor().clamp(0.0, 255.0);
            Ok(vec![case.array_with("pixels", &[pixels(case), 3], byte)])
        },
        run: |gpu, case, inputs| {
            Box::pin(async move {
                let (mean, std) = normalisation(case);
                let f32s = |values: [f64; 3]| values.map(|value| value as f32);
                Ok(vec![
                    host::preprocess((gpu, case.precision()), &bytes(&inputs[0]), shape(case), f32s(mean), f32s(std))
                        .await?,
                ])
            })
        },
        twin: |case, inputs| {
            let (mean, std) = normalisation(case);
            let pixels: Vec<u8> = inputs[0].data.iter().map(|&value| value as u8).collect();
            // Mean and deviation are rounded to f32, and their difference may cancel.
            vec![Expected::stored(case, "output", reference::preprocess(&pixels, shape(case), mean, std), 32.0)]
        },
        slope: None,
    }),
}];

fn shape(case: &Case) -> [usize; 3] {
    case.sizes(["n", "h", "w"])
}

fn pixels(case: &Case) -> usize {
    shape(case).iter().product()
}

fn bytes(array: &Array) -> Vec<u8> {
    array.data.iter().map(|&value| value as u8).collect()
}

fn normalisation(case: &Case) -> ([f64; 3], [f64; 3]) {
    match case.word("norm") {
        "bytes" => ([123.0 / 255.0, 117.0 / 255.0, 104.0 / 255.0], [1.0 / 255.0; 3]),
        "none" => ([0.0; 3], [1.0; 3]),
        _ => ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    }
}
