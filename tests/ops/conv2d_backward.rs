use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::attributes::{Conv2dAttributes, MAX_EXTENT};
use gpu_resnet::ops::host::{self, Array, Gradients};
use gpu_resnet::reference::{self, conv2d_backward, relu_backward};
use pollster::FutureExt as _;

use crate::support::{adapters, array, conv2d_variants, passes, refused, tensor};

/// A convolution with PyTorch's shapes; `residual` is added to the input gradient, which with `relu` goes through a ReLU.
#[derive(Clone, Debug)]
struct Case {
    input: [usize; 4],
    weight: [usize; 4],
    attributes: Conv2dAttributes,
    residual: bool,
    relu: bool,
}

/// A convolution to `outputs` channels with a kernel of `kernel`, and the same stride and padding on both axes.
fn case(input: [usize; 4], outputs: usize, kernel: [usize; 2], stride: usize, padding: usize) -> Case {
    let attributes = Conv2dAttributes { stride: [stride; 2], padding: [padding; 2], ..Default::default() };
    Case { input, weight: [outputs, input[1], kernel[0], kernel[1]], attributes, residual: false, relu: false }
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
        if self.relu {
            expected.grad_input = relu_backward(&input, &expected.grad_input);
        }
        expected
    }

    /// Runs it by the kernels that the adapter uses by default.
    fn run(&self, gpu: &Arc<Gpu>, [input, weight, grad_output, residual]: &[Array; 4]) -> Result<Gradients> {
        let end = (self.residual.then_some(residual), self.relu);
        host::conv2d_backward_fused(gpu, None, [input, weight], grad_output, end, &self.attributes).block_on()
    }
}

/// The negative control of the comparison: gradients of slightly different convolutions with the same shapes don't pass. One kernel of each
/// pass is enough for it; `verify`'s list tests the attributes of every kernel.
#[test]
fn wrong_attributes_are_caught() {
    let mut right = case([1, 5, 8, 8], 6, [3, 3], 4, 1);
    (right.residual, right.relu) = (true, true);
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
        let passing = |found: Gradients| {
            let reference::Gradients { grad_input, grad_weight, grad_bias } = &expected;
            let pairs =
                [(found.grad_input, grad_input), (found.grad_weight, grad_weight), (found.grad_bias, grad_bias)];
            pairs.map(|(found, expected)| passes(&found.data, &expected.data))
        };
        let run = |case: &Case, inputs: &[Array; 4]| passing(case.run(gpu, inputs).expect("a result"));
        assert_eq!(run(&right, &inputs), [true; 3]);
        for case in &wrong {
            // Only the bias gradient is the same.
            assert_eq!(run(case, &inputs), [false, false, true], "{case:?} went unnoticed");
        }
        assert_eq!(run(&change(|c| c.residual = false), &inputs), [false, true, true]);
        assert_eq!(run(&change(|c| c.relu = false), &inputs), [false, true, true]);
        let nudge = |which: usize, at: usize| {
            let mut nudged = inputs.clone();
            nudged[which].data[at] += 0.01;
            run(&right, &nudged)
        };
        assert_eq!(nudge(0, 0), [true, false, true], "a wrong input");
        assert_eq!(nudge(1, 13), [false, true, true], "a wrong weight");
        assert_eq!(nudge(2, 3), [false, false, false], "a wrong grad_output");
    }
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
                let found = host::conv2d_backward(gpu, Some(variant.into()), [&input, &weight], &grad, &attributes);
                refused(gpu, what, found.block_on());
            }
            let [input, weight, grad, residual] = [input, weight, grad, &[1, 3, 8, 7][..]].map(make);
            let found = host::conv2d_backward_fused(
                gpu,
                Some(variant.into()),
                [&input, &weight],
                &grad,
                (Some(&residual), false),
                &default,
            );
            refused(gpu, "another residual", found.block_on());
        }
    }
}
