use gpu_resnet::ops::attributes::Conv2dAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::ops::{Conv2dAlgorithm, Conv2dVariant};
use gpu_resnet::reference::space_to_depth;
use pollster::FutureExt as _;

use crate::support::{adapters, array, passes, refused, tensor};

#[test]
fn another_padding_is_caught() {
    let input = array("space_to_depth.input", &[1, 3, 6, 6]);
    let expected = space_to_depth(&tensor(&input), [2, 2], [1, 1], [4, 4]);
    for gpu in adapters().iter() {
        let made = |padding| host::space_to_depth(gpu, &input, [2, 2], padding, [4, 4]).block_on().expect("a result");
        assert!(passes(&made([1, 1]).data, &expected.data));
        assert!(!passes(&made([1, 0]).data, &expected.data));
    }
}

#[test]
fn impossible_shapes_are_refused() {
    let input = array("space_to_depth.input", &[1, 3, 6, 6]);
    let empty = Array { shape: vec![1, 3, 0, 6], data: Vec::new() };
    for gpu in adapters().iter() {
        refused(gpu, "stride 0", host::space_to_depth(gpu, &input, [0, 2], [0, 0], [3, 3]).block_on());
        refused(gpu, "no blocks", host::space_to_depth(gpu, &input, [2, 2], [0, 0], [3, 0]).block_on());
        refused(gpu, "no rows", host::space_to_depth(gpu, &empty, [2, 2], [0, 0], [3, 3]).block_on());
        refused(gpu, "too many blocks", host::space_to_depth(gpu, &input, [2, 2], [0, 0], [usize::MAX, 3]).block_on());
        let weight = array("conv2d.weight", &[4, 3, 3, 3]);
        let way = Some(Conv2dAlgorithm::SpaceToDepth(Conv2dVariant::Register));
        let found = host::conv2d(gpu, way, &input, &weight, None, &Conv2dAttributes::default()).block_on();
        refused(gpu, "a convolution without a stride", found);
    }
}
