use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::{Gpu, Plan, Recording};
use gpu_resnet::ops::attributes::{Conv2dAttributes, MAX_EXTENT};
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::ops::{
    Conv2d, Conv2dPass, Conv2dVariant, ConvOperands, ConvPlan, Epilogue, MapShape, Precision, RecordMaps, pack_nhwc,
};
use gpu_resnet::reference::{Tensor, conv2d, relu};
use pollster::FutureExt as _;

use crate::support::{adapters, array, conv2d_variants, passes, refused, tensor};

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

/// A convolution to `outputs` channels with a kernel of `kernel`, and the same stride and padding on both axes.
fn case(input: [usize; 4], outputs: usize, kernel: [usize; 2], stride: usize, padding: usize) -> Case {
    let weight = [outputs, input[1], kernel[0], kernel[1]];
    let attributes = Conv2dAttributes { stride: [stride; 2], padding: [padding; 2], ..Default::default() };
    Case { input, weight, attributes, bias: false, residual: false, relu: false }
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

    /// Runs it by the kernel that the adapter uses by default.
    fn run(&self, gpu: &Arc<Gpu>, [input, weight, bias, residual]: &[Array; 4]) -> Result<Array> {
        let bias = self.bias.then_some(bias);
        let residual = self.residual.then_some(residual);
        host::conv2d_fused(gpu, None, [input, weight], bias, residual, self.relu, &self.attributes).block_on()
    }
}

/// The negative control of the comparison: results of slightly different convolutions with the same output shape don't pass. One kernel is
/// enough for it; `verify`'s list tests the attributes of every kernel.
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
        let found = right.run(gpu, &inputs).expect("the right convolution");
        assert!(passes(&found.data, &expected.data));
        for case in &wrong {
            let found = case.run(gpu, &inputs).unwrap_or_else(|error| panic!("{case:?}: {error}"));
            assert_eq!(found.shape, expected.shape, "{case:?}: a wrong shape would be too easy to see");
            assert!(!passes(&found.data, &expected.data), "{case:?} went unnoticed");
        }
        // One weight of 270, wrong by a thousandth.
        let mut nudged = inputs.clone();
        nudged[1].data[100] += 1e-3;
        let found = right.run(gpu, &nudged).expect("the nudged convolution");
        assert!(!passes(&found.data, &expected.data), "a wrong weight went unnoticed");
    }
}

#[test]
fn impossible_shapes_are_refused() {
    let default = Conv2dAttributes::default();
    let gpus = adapters();
    for gpu in gpus.iter() {
        for variant in conv2d_variants(gpu) {
            let refuse =
                |what: &str, input: &[usize], weight: &[usize], bias: Option<&[usize]>, a: Conv2dAttributes| {
                    let make =
                        |shape: &[usize]| Array { shape: shape.to_vec(), data: vec![1.0; shape.iter().product()] };
                    let bias = bias.map(make);
                    refused(
                        gpu,
                        what,
                        host::conv2d(gpu, Some(variant.into()), &make(input), &make(weight), bias.as_ref(), &a)
                            .block_on(),
                    );
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
        refused(gpu, "a lying shape", host::conv2d(gpu, None, &lying, &lying, None, &default).block_on());
    }
}

/// The values in the padding of a map's channels do not matter to the subgroup kernels that read channels one by one or in pairs. Kernels
/// that read vec4s rely on zeros there, which shows that the test can fail.
#[test]
fn padding_of_channels_does_not_count() {
    for gpu in adapters().iter() {
        for variant in conv2d_variants(gpu) {
            let subgroups = [Conv2dVariant::SUBGROUP, Conv2dVariant::SUBGROUP_WIDE].contains(&variant);
            let by_fours = [
                Conv2dVariant::Register,
                Conv2dVariant::SUBGROUP_QUAD,
                Conv2dVariant::SUBGROUP_OCT,
                Conv2dVariant::SUBGROUP4,
            ];
            if !subgroups && !by_fours.contains(&variant) {
                continue;
            }
            for precision in Precision::ALL {
                if precision.supported(gpu.report()).is_err() {
                    continue;
                }
                for channels in 1..=7 {
                    let output = |padding| padded(gpu, variant, precision, channels, padding).expect("an output");
                    let counts = output(0.0) != output(f32::NAN);
                    assert_eq!(counts, !subgroups && channels != 4, "{variant:?} {precision:?} {channels} channels");
                }
            }
        }
    }
}

/// A convolution of a map with `padding` in the padding of its channels, as bits.
fn padded(
    gpu: &Arc<Gpu>,
    variant: Conv2dVariant,
    precision: Precision,
    channels: usize,
    padding: f32,
) -> Result<Vec<u32>> {
    let attributes = Conv2dAttributes { padding: [1, 1], ..Default::default() };
    let conv = Conv2d { attributes, in_channels: channels, out_channels: 8, kernel: [3, 3] };
    let shape = [1, channels, 4, 5];
    let mut values = pack_nhwc(&array("conv2d.input", &shape).data, shape, 1);
    let stride = channels.next_multiple_of(4);
    values.chunks_mut(stride).for_each(|pixel| pixel[channels..].fill(padding));
    let mut r = Recording::new();
    let input = r.kept_map("input", MapShape::new(shape)?.stored(precision));
    let convolution = ConvPlan::new(&conv, Conv2dPass::Forward, variant.into(), input.shape)?;
    let words = convolution.weight()?.pack_words(&array("conv2d.weight", &conv.weight_shape()).data);
    let weight = r.kept("weight", (words.len() * 4) as u64);
    let operands = ConvOperands::Forward { input, weight, epilogue: Epilogue::default() };
    let output = convolution.record(&mut r, "conv2d", operands)?;
    r.keep(output.tensor);
    let mut plan = Plan::new(gpu, &r)?;
    plan.write(input.tensor, &precision.words(&values))?;
    plan.write(weight, &words)?;
    plan.run().block_on()?;
    plan.read(output.tensor, precision.word_count(4 * 5 * 8)).block_on()
}
