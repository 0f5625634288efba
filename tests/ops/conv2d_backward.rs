use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::Conv2dVariant;
use gpu_resnet::ops::attributes::{Conv2dAttributes, MAX_EXTENT};
use gpu_resnet::ops::host::{self, Array, Gradients};
use gpu_resnet::reference::{self, conv2d_backward};

use crate::support::{Verdicts, adapters, array, array_with, conv2d_variants, deterministic, passes, refused, tensor};

/// A convolution with PyTorch's shapes; `residual` is added to the gradient by the input.
#[derive(Clone, Debug)]
struct Case {
    input: [usize; 4],
    weight: [usize; 4],
    attributes: Conv2dAttributes,
    residual: bool,
}

/// `input` to `outputs` channels, a kernel of `kernel` and the same attribute on both axes.
fn case(input: [usize; 4], outputs: usize, kernel: [usize; 2], stride: usize, padding: usize) -> Case {
    let attributes = Conv2dAttributes { stride: [stride; 2], padding: [padding; 2], ..Default::default() };
    Case { input, weight: [outputs, input[1], kernel[0], kernel[1]], attributes, residual: false }
}

fn grouped(
    input: [usize; 4],
    outputs: usize,
    kernel: [usize; 2],
    [stride, padding]: [usize; 2],
    groups: usize,
) -> Case {
    let mut case = case(input, outputs, kernel, stride, padding);
    case.attributes.groups = groups;
    case.weight[1] /= groups;
    case
}

impl Case {
    /// Input, weight, grad_output and residual.
    fn inputs(&self) -> [Array; 4] {
        let output = self.attributes.output_shape(self.input, self.weight).expect("a case that fits");
        [
            array("conv2d.input", &self.input),
            array("conv2d.weight", &self.weight),
            array("conv2d.grad_output", &output),
            array("conv2d.residual", &self.input),
        ]
    }

    fn expected(&self, inputs: &[Array; 4]) -> reference::Gradients {
        let [input, weight, grad_output, residual] = inputs.each_ref().map(tensor);
        let mut expected = conv2d_backward(&input, &weight, &grad_output, &self.attributes);
        if self.residual {
            expected.grad_input = expected.grad_input.zip(&residual, |a, b| a + b);
        }
        expected
    }

    fn run(
        &self,
        gpu: &Arc<Gpu>,
        variant: Conv2dVariant,
        [input, weight, grad_output, residual]: &[Array; 4],
    ) -> Result<Gradients> {
        let residual = self.residual.then_some(residual);
        let inputs = [input, weight];
        host::conv2d_backward_fused(gpu, Some(variant), inputs, grad_output, residual, &self.attributes)
    }
}

fn check_with(cases: impl IntoIterator<Item = (Case, [Array; 4])>) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for (case, inputs) in cases {
        let expected = case.expected(&inputs);
        for gpu in adapters.iter() {
            for variant in conv2d_variants(gpu) {
                let what = format!("{} {case:?}", variant.name());
                verdicts.gradients(gpu, &what, case.run(gpu, variant, &inputs), &expected);
            }
        }
    }
    drop(adapters);
    verdicts.finish("conv2d_backward");
}

fn check(cases: impl IntoIterator<Item = Case>) {
    check_with(cases.into_iter().map(|case| {
        let inputs = case.inputs();
        (case, inputs)
    }));
}

#[test]
fn resnet_shapes() {
    let with_residual = |case: Case| Case { residual: true, ..case };
    check([
        case([1, 3, 64, 64], 64, [7, 7], 2, 3),
        with_residual(case([1, 64, 28, 28], 64, [3, 3], 1, 1)),
        case([2, 64, 15, 15], 128, [3, 3], 2, 1),
        with_residual(case([1, 128, 14, 14], 256, [1, 1], 2, 0)),
        case([3, 512, 7, 7], 128, [1, 1], 1, 0),
        case([1, 16, 32, 32], 16, [3, 3], 1, 1),
    ]);
}

#[test]
fn few_channels_and_odd_sizes() {
    check((1..=9).flat_map(|channels| {
        let residual = Case { residual: true, ..case([1, channels, 5, 7], 10 - channels, [3, 3], 1, 1) };
        [residual, case([2, channels, 11, 6], channels, [1, 1], 2, 0), case([3, channels, 9, 13], 3, [2, 4], 3, 2)]
    }));
}

/// Every stride with kernels below and above it, with dilation: in some phases of the stride no tap meets a pixel.
#[test]
fn strides_kernels_and_dilations() {
    let mut cases = Vec::new();
    for stride in 1..=4 {
        for kernel in 1..=5 {
            for dilation in 1..=3 {
                for padding in [0, 1, 3] {
                    let mut case = case([1, 3, 13, 15], 2, [kernel, kernel % 5 + 1], stride, padding);
                    case.attributes.stride[1] = stride % 4 + 1;
                    case.attributes.dilation = [dilation, dilation % 3 + 1];
                    case.attributes.padding[1] = (padding + stride) % 4;
                    cases.push(case);
                }
            }
        }
    }
    check(cases);
}

#[test]
fn corners_of_stride_padding_and_dilation() {
    let mut uneven = case([2, 5, 12, 17], 6, [3, 2], 1, 0);
    uneven.attributes = Conv2dAttributes { stride: [2, 1], padding: [0, 3], dilation: [1, 5], groups: 1 };
    let mut dilated = case([1, 3, 11, 13], 7, [3, 3], 6, 4);
    dilated.attributes.dilation = [4, 2];
    check([
        uneven,
        dilated,
        // One pixel, all of it padding but one tap.
        case([1, 2, 1, 1], 3, [3, 3], 1, 1),
        // Padding beyond the kernel: outputs that no input reaches.
        case([1, 3, 4, 4], 5, [1, 1], 1, 2),
        case([1, 3, 2, 3], 5, [3, 3], 4, 9),
        // Strides past the input, up to where no phase could be counted.
        case([1, 3, 8, 8], 4, [3, 3], 50, 1),
        case([2, 3, 5, 4], 4, [3, 3], 100_000, 1),
        case([1, 3, 5, 4], 4, [1, 1], MAX_EXTENT / 2, 0),
        // Rows and pixels at the end that no window covers.
        case([1, 3, 10, 12], 4, [2, 2], 5, 0),
        // Kernels of one row and one column, and one that covers the whole input.
        case([1, 4, 6, 15], 4, [1, 11], 1, 0),
        case([1, 4, 15, 6], 4, [11, 1], 1, 3),
        case([1, 6, 9, 9], 8, [9, 9], 1, 0),
    ]);
}

#[test]
fn tiles_full_and_partial() {
    // Tiles are 8, 32 or 64 pixels or channels, and 4 or 8 columns (four channels of a tap): one more and one less of each.
    let pixels = [[1, 4, 1, 8], [1, 4, 3, 3], [1, 4, 4, 8], [1, 4, 3, 11], [1, 4, 8, 8], [1, 4, 5, 13], [1, 4, 7, 9]];
    let channels = [7, 8, 9, 31, 32, 33, 63, 64, 65, 129];
    check(
        (pixels.into_iter().map(|input| case(input, 4, [1, 1], 1, 0)))
            .chain(channels.map(|outputs| case([1, 5, 3, 3], outputs, [1, 1], 1, 0)))
            .chain(channels.map(|inputs| case([1, inputs, 6, 6], 8, [3, 3], 2, 1))),
    );
}

/// Slices of the reduction are 256 pixels.
#[test]
fn slices_of_pixels() {
    let inputs = [[1, 3, 16, 16], [1, 3, 1, 257], [2, 5, 16, 16], [3, 4, 13, 11], [1, 2, 70, 70]];
    check(inputs.into_iter().flat_map(|input| [case(input, 6, [1, 1], 1, 0), case(input, 3, [3, 3], 1, 1)]));
}

#[test]
fn groups() {
    let small = (1..=5).flat_map(|channels| {
        let residual = Case { residual: true, ..grouped([1, 3 * channels, 5, 6], 3, [1, 1], [1, 0], 3) };
        [grouped([2, 2 * channels, 7, 5], 12 - 2 * channels, [3, 3], [2, 1], 2), residual]
    });
    check(small.chain([
        // Depthwise, with and without a multiplier.
        grouped([1, 5, 8, 8], 5, [3, 3], [1, 1], 5),
        grouped([1, 3, 9, 8], 12, [3, 3], [2, 1], 3),
        // ResNeXt's.
        grouped([1, 128, 14, 14], 128, [3, 3], [1, 1], 32),
        grouped([1, 36, 5, 5], 140, [1, 1], [1, 0], 2),
    ]));
}

#[test]
fn more_workgroups_than_one_dimension_holds() {
    // One tile a group.
    check([grouped([1, 66_000, 1, 1], 66_000, [1, 1], [1, 0], 66_000)]);
}

#[test]
fn magnitudes() {
    let case = case([1, 5, 7, 7], 6, [3, 3], 2, 1);
    let scales = [(0.0, 1.0), (1e18, 1e18), (1e-15, 1e-15), (1e-30, 1e30), (1e30, 1e-30), (1e20, 1e20)];
    check_with(scales.map(|(scale, grad_scale)| {
        let mut inputs = case.inputs();
        for (at, scale) in [(0, scale), (1, scale), (2, grad_scale)] {
            inputs[at].data.iter_mut().for_each(|value| *value *= scale);
            if scale == 1e20 {
                // All of one sign, so that every sum overflows to infinity in whatever order it is made.
                inputs[at].data.iter_mut().for_each(|value| *value = value.abs() + 1e19);
            }
        }
        // A bias's gradient doesn't depend on the rest, and would be flushed to zero with denormals.
        (case.clone(), inputs)
    }));
}

#[test]
fn nan_and_infinity_stay_where_they_belong() {
    let case = case([2, 3, 9, 9], 5, [3, 3], 1, 1);
    check_with([f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().flat_map(|special| {
        // An inner pixel of one channel: where a tap is outside, 0 times NaN may or may not be added.
        [(0, 9 * 9 + 40), (2, 2 * 9 * 9 + 31), (2, 5 * 81 + 60)].map(|(which, at)| {
            let mut inputs = case.inputs();
            let shape = inputs[which].shape.clone();
            inputs[which] = array_with("special", &shape, |i, value| if i == at { special } else { value });
            let expected = case.expected(&inputs).grad_weight.data;
            assert!(expected.iter().any(|value| !value.is_finite()) && expected.iter().any(|value| value.is_finite()));
            (case.clone(), inputs)
        })
    }));
}

/// The negative control: gradients of slightly different convolutions with the same shapes don't pass.
#[test]
fn wrong_attributes_are_caught() {
    let mut right = case([1, 5, 8, 8], 6, [3, 3], 4, 1);
    right.residual = true;
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
    ];
    for gpu in adapters().iter() {
        for variant in conv2d_variants(gpu) {
            let passing = |found: Gradients| {
                let reference::Gradients { grad_input, grad_weight, grad_bias } = &expected;
                let pairs =
                    [(found.grad_input, grad_input), (found.grad_weight, grad_weight), (found.grad_bias, grad_bias)];
                pairs.map(|(found, expected)| passes(&found.data, &expected.data))
            };
            let run = |case: &Case, inputs: &[Array; 4]| passing(case.run(gpu, variant, inputs).expect("a result"));
            assert_eq!(run(&right, &inputs), [true; 3]);
            for case in &wrong {
                // Only the bias's gradient is the same.
                assert_eq!(run(case, &inputs), [false, false, true], "{case:?} went unnoticed");
            }
            assert_eq!(run(&change(|c| c.residual = false), &inputs), [false, true, true]);
            let nudge = |which: usize, at: usize| {
                let mut nudged = inputs.clone();
                nudged[which].data[at] += 0.01;
                run(&right, &nudged)
            };
            assert_eq!(nudge(0, 0), [true, false, true], "a wrong input");
            assert_eq!(nudge(1, 14), [false, true, true], "a wrong weight");
            assert_eq!(nudge(2, 3), [false, false, false], "a wrong grad_output");
        }
    }
}

#[test]
fn the_same_bits_every_time() {
    let case = grouped([2, 6, 27, 19], 70, [3, 3], [1, 1], 2);
    let inputs = case.inputs();
    deterministic(|gpu| {
        let all = conv2d_variants(gpu).into_iter().map(|variant| case.run(gpu, variant, &inputs).expect("a result"));
        all.flat_map(|found| [found.grad_input, found.grad_weight, found.grad_bias]).collect()
    });
}

#[test]
fn impossible_shapes_are_refused() {
    let make = |shape: &[usize]| Array { shape: shape.to_vec(), data: vec![1.0; shape.iter().product()] };
    let default = Conv2dAttributes::default();
    let attributes = |change: fn(&mut Conv2dAttributes)| {
        let mut attributes = default;
        change(&mut attributes);
        attributes
    };
    let (input, weight, grad): (&[usize], &[usize], &[usize]) = (&[1, 3, 8, 8], &[4, 3, 3, 3], &[1, 4, 6, 6]);
    for gpu in adapters().iter() {
        for variant in conv2d_variants(gpu) {
            for (what, input, weight, grad, attributes) in [
                ("three axes", &[3, 8, 8][..], weight, grad, default),
                ("a flat weight", input, &[4, 27], grad, default),
                ("other channels", input, &[4, 4, 3, 3], grad, default),
                ("an empty batch", &[0, 3, 8, 8], weight, &[0, 4, 6, 6], default),
                ("a small input", &[1, 3, 2, 8], weight, grad, default),
                ("a flat gradient", input, weight, &[4, 36], default),
                ("another gradient", input, weight, &[1, 4, 6, 7], default),
                ("a gradient of the wrong stride", input, weight, grad, attributes(|a| a.stride[0] = 2)),
                ("stride 0", input, weight, grad, attributes(|a| a.stride[1] = 0)),
                ("groups 2 of 3", input, weight, grad, attributes(|a| a.groups = 2)),
                ("past an integer", input, weight, grad, attributes(|a| a.dilation = [usize::MAX; 2])),
                // Their taps can't be counted in 32 bits.
                (
                    "a huge padding",
                    input,
                    &[4, 3, 1, 1],
                    &[1, 4, 3, 3],
                    attributes(|a| (a.stride, a.padding) = ([MAX_EXTENT; 2], [MAX_EXTENT; 2])),
                ),
            ] {
                let [input, weight, grad] = [input, weight, grad].map(make);
                let found = host::conv2d_backward(gpu, Some(variant), [&input, &weight], &grad, &attributes);
                refused(gpu, what, found);
            }
            let [input, weight, grad, residual] = [input, weight, grad, &[1, 3, 8, 7][..]].map(make);
            let found =
                host::conv2d_backward_fused(gpu, Some(variant), [&input, &weight], &grad, Some(&residual), &default);
            refused(gpu, "another residual", found);
        }
    }
}
