use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::shortcut_pad;
use pollster::FutureExt as _;

use crate::support::{adapters, array, passes, refused, tensor};

#[test]
fn another_stride_is_caught() {
    let input = array("shortcut_pad.input", &[1, 4, 3, 3]);
    let expected = shortcut_pad(&tensor(&input), 8, 2, 0);
    for gpu in adapters().iter() {
        assert!(passes(&host::shortcut_pad(gpu, &input, 8, 2).block_on().expect("a result").data, &expected.data));
        // A fourth of the pixels at stride 3 stand elsewhere; the shape is the same for a map of 4.
        let four = array("shortcut_pad.input", &[1, 4, 4, 4]);
        let (two, three) =
            (shortcut_pad(&tensor(&four), 8, 2, 0), host::shortcut_pad(gpu, &four, 8, 3).block_on().expect("a result"));
        assert!(three.shape == two.shape && !passes(&three.data, &two.data));
    }
}

#[test]
fn impossible_shapes_are_refused() {
    let input = array("shortcut_pad.input", &[1, 8, 4, 4]);
    let empty = Array { shape: vec![1, 8, 0, 4], data: Vec::new() };
    for gpu in adapters().iter() {
        refused(gpu, "fewer channels", host::shortcut_pad(gpu, &input, 4, 2).block_on());
        refused(gpu, "an odd number of channels", host::shortcut_pad(gpu, &input, 10, 2).block_on());
        refused(gpu, "stride 0", host::shortcut_pad(gpu, &input, 8, 0).block_on());
        refused(gpu, "no rows", host::shortcut_pad(gpu, &empty, 8, 2).block_on());
        let grad = array("shortcut_pad.grad", &[1, 16, 2, 2]);
        refused(gpu, "another stride", host::shortcut_pad_backward(gpu, &grad, &input, 4).block_on());
        refused(gpu, "stride 0", host::shortcut_pad_backward(gpu, &grad, &input, 0).block_on());
        let few = array("shortcut_pad.grad", &[1, 4, 2, 2]);
        refused(gpu, "fewer channels", host::shortcut_pad_backward(gpu, &few, &input, 2).block_on());
        refused(gpu, "too many channels", host::shortcut_pad(gpu, &input, usize::MAX - 3, 2).block_on());
    }
}
