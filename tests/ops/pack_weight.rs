use gpu_resnet::ops::attributes::Conv2dAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::ops::{Conv2d, Conv2dVariant};

use crate::support::{adapters, array, conv2d_variants, deterministic, refused};

fn conv(in_channels: usize, out_channels: usize, kernel: [usize; 2], groups: usize) -> Conv2d {
    Conv2d { attributes: Conv2dAttributes { groups, ..Default::default() }, in_channels, out_channels, kernel }
}

fn weight(conv: &Conv2d) -> Array {
    array("conv2d.weight", &conv.weight_shape())
}

fn packed_on_host(conv: &Conv2d, variant: Conv2dVariant, transposed: bool, weight: &Array) -> Vec<f32> {
    if transposed {
        conv.pack_weight_transposed(variant, &weight.data)
    } else {
        conv.pack_weight(variant, &weight.data)
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn the_gpu_packs_as_the_host_does() {
    let mut convolutions = vec![
        conv(3, 64, [7, 7], 1),
        conv(64, 64, [3, 3], 1),
        conv(128, 65, [1, 1], 1),
        conv(33, 129, [1, 2], 1),
        conv(128, 128, [3, 3], 32),
        conv(5, 5, [3, 3], 5),
        conv(3, 12, [2, 3], 3),
        conv(70, 66, [1, 1], 2),
    ];
    convolutions.extend((1..=9).map(|channels| conv(channels, 10 - channels, [2, 3], 1)));
    convolutions.extend((1..=5).map(|channels| conv(3 * channels, 18 - 3 * channels, [1, 3], 3)));
    for gpu in adapters().iter() {
        for conv in &convolutions {
            let weight = weight(conv);
            let mut nudged = weight.clone();
            let last = nudged.data.len() - 1;
            nudged.data[last] += 0.5;
            for variant in conv2d_variants(gpu) {
                for transposed in [false, true] {
                    let what = format!("{} {conv:?}, transposed: {transposed}", variant.name());
                    let found = host::pack_weight(gpu, conv, variant, transposed, &weight);
                    let found = bits(&found.unwrap_or_else(|error| panic!("{what}: {error}")));
                    assert!(found == bits(&packed_on_host(conv, variant, transposed, &weight)), "{what}");
                    assert!(
                        found != bits(&packed_on_host(conv, variant, transposed, &nudged)),
                        "a wrong weight: {what}"
                    );
                }
            }
        }
    }
}

#[test]
fn layouts_differ_by_direction() {
    let conv = conv(5, 7, [3, 3], 1);
    let weight = weight(&conv);
    for gpu in adapters().iter() {
        for variant in conv2d_variants(gpu) {
            let [forward, transposed] =
                [false, true].map(|t| host::pack_weight(gpu, &conv, variant, t, &weight).expect("a result"));
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
fn the_same_bits_every_time() {
    let conv = conv(33, 70, [3, 3], 1);
    let weight = weight(&conv);
    deterministic(|gpu| {
        let pack = |variant| host::pack_weight(gpu, &conv, variant, true, &weight).expect("a result");
        let arrays = conv2d_variants(gpu).into_iter().map(pack).map(|data| Array { shape: vec![data.len()], data });
        arrays.collect()
    });
}

#[test]
fn impossible_shapes_are_refused() {
    for gpu in adapters().iter() {
        let conv = conv(5, 7, [3, 3], 1);
        let found = host::pack_weight(gpu, &conv, Conv2dVariant::Register, false, &array("other", &[7, 5, 3, 2]));
        refused(gpu, "another kernel", found);
    }
}
