use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::Tensor;

use crate::support::{Verdicts, adapters, array, deterministic, passes, refused, tensor};

/// The twin: every `stride`-th pixel, and zeros in the new channels.
fn shortcut_pad(input: &Tensor, out_channels: usize, stride: usize) -> Tensor {
    let [n, c, h, w] = input.dims();
    let mut output = Tensor::zeros(&[n, out_channels, h.div_ceil(stride), w.div_ceil(stride)]);
    for image in 0..n {
        for channel in 0..c {
            for y in (0..h).step_by(stride) {
                for x in (0..w).step_by(stride) {
                    output[[image, channel, y / stride, x / stride]] = input[[image, channel, y, x]];
                }
            }
        }
    }
    output
}

/// The twin's gradient: each sampled pixel gets its own, and the new channels' goes nowhere.
fn shortcut_pad_backward(grad_output: &Tensor, residual: &Tensor, stride: usize) -> Tensor {
    let ([n, c, h, w], mut grad) = (residual.dims(), residual.clone());
    for image in 0..n {
        for channel in 0..c {
            for y in (0..h).step_by(stride) {
                for x in (0..w).step_by(stride) {
                    grad[[image, channel, y, x]] += grad_output[[image, channel, y / stride, x / stride]];
                }
            }
        }
    }
    grad
}

/// Shape of the input, channels of the output, and stride.
const CASES: [([usize; 4], usize, usize); 6] = [
    ([2, 16, 32, 32], 32, 2),
    ([1, 4, 7, 5], 8, 2),
    ([3, 8, 5, 5], 8, 3),
    ([1, 4, 1, 1], 12, 4),
    ([1, 4, 3, 3], 4, 1),
    ([2, 4, 6, 9], 16, 5),
];

#[test]
fn backward() {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for ([n, c, h, w], channels, stride) in CASES {
        let residual = array("shortcut_pad.residual", &[n, c, h, w]);
        let grad = array("shortcut_pad.grad", &[n, channels, h.div_ceil(stride), w.div_ceil(stride)]);
        let expected = shortcut_pad_backward(&tensor(&grad), &tensor(&residual), stride);
        for gpu in adapters.iter() {
            let found = host::shortcut_pad_backward(gpu, &grad, &residual, stride);
            assert!(found.as_ref().is_ok_and(|found| !passes(&found.data, &tensor(&residual).data)), "no gradient");
            verdicts.compare(gpu, &format!("{:?} from {channels} by {stride}", residual.shape), found, &expected);
        }
    }
    drop(adapters);
    verdicts.finish("shortcut_pad_backward");
}

#[test]
fn shapes() {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for (shape, channels, stride) in CASES {
        let input = array("shortcut_pad.input", &shape);
        let expected = shortcut_pad(&tensor(&input), channels, stride);
        for gpu in adapters.iter() {
            let found = host::shortcut_pad(gpu, &input, channels, stride);
            verdicts.compare(gpu, &format!("{shape:?} to {channels} by {stride}"), found, &expected);
        }
    }
    drop(adapters);
    verdicts.finish("shortcut_pad");
}

#[test]
fn another_stride_is_caught() {
    let input = array("shortcut_pad.input", &[1, 4, 3, 3]);
    let expected = shortcut_pad(&tensor(&input), 8, 2);
    for gpu in adapters().iter() {
        assert!(passes(&host::shortcut_pad(gpu, &input, 8, 2).expect("a result").data, &expected.data));
        // A fourth of the pixels at stride 3 stand elsewhere; the shape is the same for a map of 4.
        let four = array("shortcut_pad.input", &[1, 4, 4, 4]);
        let (two, three) =
            (shortcut_pad(&tensor(&four), 8, 2), host::shortcut_pad(gpu, &four, 8, 3).expect("a result"));
        assert!(three.shape == two.shape && !passes(&three.data, &two.data));
    }
}

#[test]
fn the_same_bits_every_time() {
    let input = array("shortcut_pad.input", &[2, 8, 9, 7]);
    let grad = array("shortcut_pad.grad", &[2, 16, 5, 4]);
    deterministic(|gpu| {
        [host::shortcut_pad(gpu, &input, 16, 2), host::shortcut_pad_backward(gpu, &grad, &input, 2)]
            .map(|found| found.expect("a result"))
            .to_vec()
    });
}

#[test]
fn impossible_shapes_are_refused() {
    let input = array("shortcut_pad.input", &[1, 8, 4, 4]);
    let empty = Array { shape: vec![1, 8, 0, 4], data: Vec::new() };
    for gpu in adapters().iter() {
        refused(gpu, "fewer channels", host::shortcut_pad(gpu, &input, 4, 2));
        refused(gpu, "an odd number of channels", host::shortcut_pad(gpu, &input, 10, 2));
        refused(gpu, "stride 0", host::shortcut_pad(gpu, &input, 8, 0));
        refused(gpu, "no rows", host::shortcut_pad(gpu, &empty, 8, 2));
        let grad = array("shortcut_pad.grad", &[1, 16, 2, 2]);
        refused(gpu, "another stride", host::shortcut_pad_backward(gpu, &grad, &input, 4));
        refused(gpu, "stride 0", host::shortcut_pad_backward(gpu, &grad, &input, 0));
        let few = array("shortcut_pad.grad", &[1, 4, 2, 2]);
        refused(gpu, "fewer channels", host::shortcut_pad_backward(gpu, &few, &input, 2));
        refused(gpu, "too many channels", host::shortcut_pad(gpu, &input, usize::MAX - 3, 2));
    }
}
