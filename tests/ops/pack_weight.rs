use gpu_resnet::ops::attributes::Conv2dAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::ops::{Conv2d, Conv2dVariant};
use pollster::FutureExt as _;

use crate::support::{adapters, array, conv2d_variants, refused};

fn conv(in_channels: usize, out_channels: usize, kernel: [usize; 2], groups: usize) -> Conv2d {
    Conv2d { attributes: Conv2dAttributes { groups, ..Default::default() }, in_channels, out_channels, kernel }
}

fn weight(conv: &Conv2d) -> Array {
    array("conv2d.weight", &conv.weight_shape())
}

#[test]
fn layouts_differ_by_direction() {
    let conv = conv(5, 7, [3, 3], 1);
    let weight = weight(&conv);
    for gpu in adapters().iter() {
        for variant in conv2d_variants(gpu) {
            let [forward, transposed] = [false, true]
                .map(|t| host::pack_weight(gpu, &conv, variant.into(), t, &weight).block_on().expect("a result"));
            assert_ne!(forward, transposed);
        }
    }
}

#[test]
fn trained_order_round_trips() {
    for conv in [conv(5, 7, [3, 2], 1), conv(6, 9, [1, 3], 3), conv(4, 4, [1, 1], 1)] {
        let weight = weight(&conv);
        let packed = conv.pack_krsc(&weight.data);
        assert_eq!(packed.len(), conv.weight_len4() * 4);
        assert_eq!(conv.unpack_krsc(&packed), weight.data);
    }
}

#[test]
fn impossible_shapes_are_refused() {
    for gpu in adapters().iter() {
        let conv = conv(5, 7, [3, 3], 1);
        let found =
            host::pack_weight(gpu, &conv, Conv2dVariant::Register.into(), false, &array("other", &[7, 5, 3, 2]))
                .block_on();
        refused(gpu, "another kernel", found);
    }
}
