use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::Conv2dVariant;
use gpu_resnet::ops::attributes::{Conv2dAttributes, MAX_EXTENT};
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{Tensor, conv2d, relu};

use crate::support::{Verdicts, adapters, array, array_with, conv2d_variants, deterministic, passes, refused, tensor};

/// A convolution with PyTorch's shapes; `relu` and `residual` are the fused epilogue.
#[derive(Clone, Debug)]
struct Case {
    input: [usize; 4],
    weight: [usize; 4],
    attributes: Conv2dAttributes,
    bias: bool,
    residual: bool,
    relu: bool,
}

/// `channels` to `outputs`, a kernel of `kernel` and the same attribute on both axes.
fn case(input: [usize; 4], outputs: usize, kernel: [usize; 2], stride: usize, padding: usize) -> Case {
    let weight = [outputs, input[1], kernel[0], kernel[1]];
    let attributes = Conv2dAttributes { stride: [stride; 2], padding: [padding; 2], ..Default::default() };
    Case { input, weight, attributes, bias: false, residual: false, relu: false }
}

fn grouped(input: [usize; 4], outputs: usize, kernel: [usize; 2], padding: usize, groups: usize) -> Case {
    let mut case = case(input, outputs, kernel, 1, padding);
    case.attributes.groups = groups;
    case.weight[1] /= groups;
    case.bias = true;
    case
}

impl Case {
    fn inputs(&self) -> [Array; 4] {
        let output = self.attributes.output_shape(self.input, self.weight).expect("a case that fits");
        [
            array("conv2d.input", &self.input),
            array("conv2d.weight", &self.weight),
            array("conv2d.bias", &self.weight[..1]),
            array("conv2d.residual", &output),
        ]
    }

    fn expected(&self, [input, weight, bias, residual]: &[Array; 4]) -> Tensor {
        let bias = self.bias.then(|| tensor(bias));
        let mut output = conv2d(&tensor(input), &tensor(weight), bias.as_ref(), &self.attributes);
        if self.residual {
            output = output.zip(&tensor(residual), |a, b| a + b);
        }
        if self.relu { relu(&output) } else { output }
    }

    fn run(
        &self,
        gpu: &Arc<Gpu>,
        variant: Conv2dVariant,
        [input, weight, bias, residual]: &[Array; 4],
    ) -> Result<Array> {
        let bias = self.bias.then_some(bias);
        let residual = self.residual.then_some(residual);
        host::conv2d_fused(gpu, Some(variant), [input, weight], bias, residual, self.relu, &self.attributes)
    }
}

fn check(cases: &[Case]) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for case in cases {
        let inputs = case.inputs();
        let expected = case.expected(&inputs);
        for gpu in adapters.iter() {
            for variant in conv2d_variants(gpu) {
                let what = format!("{} {case:?}", variant.name());
                verdicts.compare(gpu, &what, case.run(gpu, variant, &inputs), &expected);
            }
        }
    }
    drop(adapters);
    verdicts.finish("conv2d");
}

#[test]
fn resnet_shapes() {
    let fused = |mut case: Case, residual| {
        (case.bias, case.relu, case.residual) = (true, true, residual);
        case
    };
    check(&[
        fused(case([1, 3, 112, 112], 64, [7, 7], 2, 3), false),
        fused(case([1, 64, 28, 28], 64, [3, 3], 1, 1), true),
        fused(case([2, 128, 14, 14], 128, [3, 3], 2, 1), false),
        fused(case([1, 256, 14, 14], 512, [1, 1], 2, 0), true),
        fused(case([3, 512, 7, 7], 256, [1, 1], 1, 0), false),
        fused(case([1, 256, 7, 7], 256, [3, 3], 1, 1), true),
    ]);
}

#[test]
fn few_channels_and_odd_sizes() {
    let cases = (1..=9).flat_map(|channels| {
        let mut with_bias = case([1, channels, 5, 7], 10 - channels, [3, 3], 1, 1);
        with_bias.bias = true;
        [with_bias, case([2, channels, 11, 6], channels, [1, 1], 2, 0), case([1, channels, 9, 13], 3, [2, 4], 3, 2)]
    });
    check(&cases.collect::<Vec<_>>());
}

#[test]
fn corners_of_stride_padding_and_dilation() {
    let mut uneven = case([2, 5, 12, 17], 6, [3, 2], 1, 0);
    uneven.attributes = Conv2dAttributes { stride: [2, 1], padding: [0, 3], dilation: [1, 5], groups: 1 };
    let mut dilated = case([1, 3, 11, 13], 7, [3, 3], 3, 4);
    dilated.attributes.dilation = [4, 2];
    check(&[
        uneven,
        dilated,
        // One pixel, all of it padding but one tap.
        case([1, 2, 1, 1], 3, [3, 3], 1, 1),
        // Padding beyond the kernel: whole outputs of zeros, and only zeros.
        case([1, 3, 4, 4], 5, [1, 1], 1, 2),
        case([1, 3, 2, 3], 5, [3, 3], 4, 9),
        // A stride past the input.
        case([1, 3, 8, 8], 4, [3, 3], 50, 1),
        // Kernels of one row and one column, and one that covers the whole input.
        case([1, 4, 6, 15], 4, [1, 11], 1, 0),
        case([1, 4, 15, 6], 4, [11, 1], 1, 3),
        case([1, 6, 9, 9], 8, [9, 9], 1, 0),
    ]);
}

#[test]
fn tiles_full_and_partial() {
    // Tiles are 8, 32 or 64 pixels and channels: one more and one less of each.
    let pixels = [[1, 4, 1, 8], [1, 4, 3, 3], [1, 4, 4, 8], [1, 4, 3, 11], [1, 4, 8, 8], [1, 4, 5, 13], [1, 4, 7, 9]];
    let channels = [7, 8, 9, 31, 32, 33, 63, 64, 65, 129];
    let mut cases: Vec<Case> = pixels.map(|input| case(input, 4, [1, 1], 1, 0)).to_vec();
    cases.extend(channels.map(|outputs| case([1, 5, 3, 3], outputs, [1, 1], 1, 0)));
    cases.extend([15, 16, 17, 65].map(|inputs| case([1, inputs, 6, 6], 8, [3, 3], 1, 1)));
    check(&cases);
}

#[test]
fn groups() {
    let mut fused = grouped([2, 6, 7, 5], 10, [3, 3], 1, 2);
    (fused.residual, fused.relu) = (true, true);
    check(&[
        grouped([2, 6, 7, 5], 10, [3, 3], 1, 2),
        fused,
        // Depthwise, with and without a multiplier.
        grouped([1, 5, 8, 8], 5, [3, 3], 1, 5),
        grouped([1, 3, 8, 8], 12, [3, 3], 1, 3),
        // ResNeXt's.
        grouped([1, 128, 14, 14], 128, [3, 3], 1, 32),
        grouped([1, 36, 5, 5], 140, [1, 1], 0, 2),
    ]);
}

#[test]
fn more_workgroups_than_one_dimension_holds() {
    // One tile a group.
    check(&[grouped([1, 66_000, 1, 1], 66_000, [1, 1], 0, 66_000)]);
}

#[test]
fn magnitudes() {
    let case = case([1, 5, 7, 7], 6, [3, 3], 1, 1);
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for (scale, weight_scale) in [(0.0, 1.0), (1e18, 1e18), (1e-15, 1e-15), (1e-30, 1e30), (1e30, 1e-30), (1e20, 1e20)]
    {
        let mut inputs = case.inputs();
        inputs[0].data.iter_mut().for_each(|value| *value *= scale);
        inputs[1].data.iter_mut().for_each(|value| *value = (value.abs() + 1.0) * weight_scale);
        if weight_scale == 1e20 {
            // All of one sign, so that every sum overflows to infinity in whatever order it is made.
            inputs[0].data.iter_mut().for_each(|value| *value = value.abs() + 1e19);
        }
        let expected = case.expected(&inputs);
        for gpu in adapters.iter() {
            for variant in conv2d_variants(gpu) {
                let what = format!("{} magnitudes {scale} and {weight_scale}", variant.name());
                verdicts.compare(gpu, &what, case.run(gpu, variant, &inputs), &expected);
            }
        }
    }
    drop(adapters);
    verdicts.finish("conv2d");
}

#[test]
fn nan_and_infinity_stay_where_they_belong() {
    let mut case = case([2, 3, 9, 9], 5, [3, 3], 1, 1);
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for relu in [false, true] {
        case.relu = relu;
        for (name, special) in [("NaN", f32::NAN), ("inf", f32::INFINITY), ("-inf", f32::NEG_INFINITY)] {
            let mut inputs = case.inputs();
            inputs[0] = array_with("conv2d.input", &case.input, |i, value| if i % 97 == 40 { special } else { value });
            let expected = case.expected(&inputs);
            assert!(expected.data.iter().any(|value| !value.is_finite()) && expected.data[0].is_finite());
            for gpu in adapters.iter() {
                for variant in conv2d_variants(gpu) {
                    let what = format!("{} with {name}", variant.name());
                    verdicts.compare(gpu, &what, case.run(gpu, variant, &inputs), &expected);
                }
            }
        }
    }
    drop(adapters);
    verdicts.finish("conv2d");
}

/// The negative control: results of slightly different convolutions with the same output shape don't pass.
#[test]
fn wrong_attributes_are_caught() {
    let right = {
        let mut case = case([1, 5, 8, 8], 6, [3, 3], 4, 1);
        (case.bias, case.residual, case.relu) = (true, true, true);
        case
    };
    let inputs = right.inputs();
    let expected = right.expected(&inputs);
    let change = |change: fn(&mut Case)| {
        let mut case = right.clone();
        change(&mut case);
        case
    };
    let wrong = [
        change(|c| c.attributes.padding = [0, 0]),
        change(|c| c.attributes.padding = [1, 0]),
        change(|c| c.attributes.stride = [4, 5]),
        change(|c| c.attributes.dilation = [1, 2]),
        change(|c| c.bias = false),
        change(|c| c.residual = false),
        change(|c| c.relu = false),
    ];
    for gpu in adapters().iter() {
        for variant in conv2d_variants(gpu) {
            let found = right.run(gpu, variant, &inputs).expect("the right convolution");
            assert!(passes(&found.data, &expected.data));
            for case in &wrong {
                let found = case.run(gpu, variant, &inputs).unwrap_or_else(|error| panic!("{case:?}: {error}"));
                assert_eq!(found.shape, expected.shape, "{case:?}: a wrong shape would be too easy to see");
                assert!(!passes(&found.data, &expected.data), "{} {case:?} went unnoticed", variant.name());
            }
            // One weight of 270, wrong by a thousandth.
            let mut nudged = inputs.clone();
            nudged[1].data[100] += 1e-3;
            let found = right.run(gpu, variant, &nudged).expect("the nudged convolution");
            assert!(!passes(&found.data, &expected.data), "a wrong weight went unnoticed");
        }
    }
}

#[test]
fn the_same_bits_every_time() {
    let case = grouped([2, 6, 13, 9], 70, [3, 3], 1, 2);
    let inputs = case.inputs();
    deterministic(|gpu| {
        conv2d_variants(gpu).into_iter().map(|v| case.run(gpu, v, &inputs).expect("a result")).collect()
    });
}

#[test]
fn impossible_shapes_are_refused() {
    let default = Conv2dAttributes::default();
    let gpus = adapters();
    for gpu in gpus.iter() {
        for variant in conv2d_variants(gpu) {
            let refuse = |what: &str,
                          input: &[usize],
                          weight: &[usize],
                          bias: Option<&[usize]>,
                          a: Conv2dAttributes| {
                let make = |shape: &[usize]| Array { shape: shape.to_vec(), data: vec![1.0; shape.iter().product()] };
                let bias = bias.map(make);
                refused(gpu, what, host::conv2d(gpu, Some(variant), &make(input), &make(weight), bias.as_ref(), &a));
            };
            refuse("three axes", &[3, 8, 8], &[4, 3, 3, 3], None, default);
            refuse("a flat weight", &[1, 3, 8, 8], &[4, 27], None, default);
            refuse("other channels", &[1, 3, 8, 8], &[4, 4, 3, 3], None, default);
            refuse("an empty batch", &[0, 3, 8, 8], &[4, 3, 3, 3], None, default);
            refuse("no channels", &[1, 0, 8, 8], &[4, 0, 3, 3], None, default);
            refuse("no outputs", &[1, 3, 8, 8], &[0, 3, 3, 3], None, default);
            refuse("a small input", &[1, 3, 2, 8], &[4, 3, 3, 3], None, default);
            refuse("a long bias", &[1, 3, 8, 8], &[4, 3, 3, 3], Some(&[5]), default);
            refuse("a wide bias", &[1, 3, 8, 8], &[4, 3, 3, 3], Some(&[4, 1]), default);
            let a = |change: fn(&mut Conv2dAttributes)| {
                let mut attributes = default;
                change(&mut attributes);
                attributes
            };
            refuse("stride 0", &[1, 3, 8, 8], &[4, 3, 3, 3], None, a(|a| a.stride[1] = 0));
            refuse("groups 2 of 3", &[1, 3, 8, 8], &[4, 3, 3, 3], None, a(|a| a.groups = 2));
            refuse("a huge output", &[1, 3, 8, 8], &[4, 3, 3, 3], None, a(|a| a.padding = [MAX_EXTENT; 2]));
            refuse("a huge row", &[1, 3, 8, 8], &[4, 3, 3, 3], None, a(|a| a.padding = [0, MAX_EXTENT / 2]));
            refuse("past an integer", &[1, 3, 8, 8], &[4, 3, 3, 3], None, a(|a| a.dilation = [usize::MAX; 2]));
        }
        let lying = Array { shape: vec![1, 3, 8, usize::MAX], data: vec![0.0; 8] };
        refused(gpu, "a lying shape", host::conv2d(gpu, None, &lying, &lying, None, &default));
    }
}
