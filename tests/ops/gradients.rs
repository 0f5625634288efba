//! A chain of backward kernels against finite differences of the forward kernels, without twins.

use std::sync::Arc;

use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::attributes::{BatchNormAttributes, Conv2dAttributes, PoolAttributes};
use gpu_resnet::ops::host::{self, Array};
use pollster::FutureExt as _;

use crate::support::{adapters, array, array_with};

const CONVOLUTION: Conv2dAttributes = Conv2dAttributes { stride: [2, 2], padding: [1, 1], dilation: [1, 1], groups: 1 };
const POOL: PoolAttributes = PoolAttributes { kernel_size: [3, 3], stride: [2, 2], padding: [1, 1], ceil_mode: false };
const STEP: f32 = 1e-3;

/// A small network: `global_avg_pool(max_pool2d(relu(batch_norm(conv2d(input)) + shortcut)))`.
#[derive(Clone)]
struct Network {
    input: Array,
    kernel: Array,
    weight: Array,
    bias: Array,
    shortcut: Array,
    training: bool,
}

/// What the backward pass needs of the forward pass.
struct Activations {
    convolved: Array,
    normalised: Array,
    rectified: Array,
    pooled: Array,
    output: Array,
}

impl Network {
    fn new(training: bool) -> Self {
        Self {
            input: array("gradients.input", &[3, 3, 17, 15]),
            kernel: array("gradients.kernel", &[6, 3, 3, 3]),
            weight: array_with("gradients.weight", &[6], |_, value| value + 3.0),
            bias: array("gradients.bias", &[6]),
            shortcut: array("gradients.shortcut", &[3, 6, 9, 8]),
            training,
        }
    }

    fn tensors(&mut self) -> [&mut Array; 5] {
        [&mut self.input, &mut self.kernel, &mut self.weight, &mut self.bias, &mut self.shortcut]
    }

    fn attributes(&self) -> BatchNormAttributes {
        BatchNormAttributes { training: self.training, ..Default::default() }
    }

    fn statistics(&self) -> [Array; 2] {
        [array("gradients.mean", &[6]), array_with("gradients.var", &[6], |_, value| value + 40.0)]
    }

    fn forward(&self, gpu: &Arc<Gpu>) -> Activations {
        let [mean, variance] = self.statistics();
        let parameters = [&self.weight, &self.bias, &mean, &variance];
        let convolved =
            host::conv2d(gpu, None, &self.input, &self.kernel, None, &CONVOLUTION).block_on().expect("conv2d");
        let normalised =
            host::batch_norm(gpu, &convolved, parameters, &self.attributes()).block_on().expect("batch_norm").output;
        let rectified = host::add_relu(gpu, &normalised, &self.shortcut).block_on().expect("add_relu");
        let pooled = host::max_pool2d(gpu, &rectified, &POOL).block_on().expect("max_pool2d");
        let output = host::global_avg_pool(gpu, &pooled).block_on().expect("global_avg_pool");
        Activations { convolved, normalised, rectified, pooled, output }
    }

    /// The gradients of `sum(output * upstream)` in the order of [`Self::tensors`].
    fn backward(&self, gpu: &Arc<Gpu>, saved: &Activations, upstream: &Array) -> [Array; 5] {
        let [mean, variance] = self.statistics();
        let grad = host::global_avg_pool_backward(gpu, &saved.pooled, upstream).block_on().expect("global_avg_pool");
        let grad = host::max_pool2d_backward(gpu, &saved.rectified, &grad, &POOL).block_on().expect("max_pool2d");
        let grad = host::add_relu_backward(gpu, &saved.normalised, &self.shortcut, &grad).block_on().expect("add_relu");
        let parameters = [&self.weight, &mean, &variance];
        let norm = host::batch_norm_backward(gpu, &saved.convolved, parameters, &grad, &self.attributes())
            .block_on()
            .expect("batch_norm");
        let conv = host::conv2d_backward(gpu, None, [&self.input, &self.kernel], &norm.grad_input, &CONVOLUTION)
            .block_on()
            .expect("conv2d");
        [conv.grad_input, conv.grad_weight, norm.grad_weight, norm.grad_bias, grad]
    }

    /// `sum(output * upstream)`.
    fn objective(&self, gpu: &Arc<Gpu>, upstream: &Array) -> f64 {
        dot(&self.forward(gpu).output, upstream)
    }
}

fn dot(a: &Array, b: &Array) -> f64 {
    assert_eq!(a.shape, b.shape);
    a.data.iter().zip(&b.data).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// The relative difference between the slope along `gradient` and the slope that `gradient` predicts.
fn slope_error(network: &Network, gpu: &Arc<Gpu>, upstream: &Array, which: usize, gradient: &Array) -> f64 {
    // Along the gradient the slope is largest, so that rounding and the kinks of max and ReLU matter least.
    let norm = dot(gradient, gradient).sqrt();
    let moved = |by: f32| {
        let mut network = network.clone();
        let values = network.tensors().into_iter().nth(which).expect("a tensor");
        values.data.iter_mut().zip(&gradient.data).for_each(|(value, slope)| *value += by * slope / norm as f32);
        network.objective(gpu, upstream)
    };
    let slope = (moved(STEP) - moved(-STEP)) / (2.0 * f64::from(STEP));
    (slope - norm).abs() / norm
}

#[test]
fn differences_of_the_forward_pass_agree() {
    for gpu in adapters().iter() {
        for training in [false, true] {
            let network = Network::new(training);
            let saved = network.forward(gpu);
            // A gradient from above that isn't of ones.
            let upstream = array("gradients.upstream", &saved.output.shape);
            let gradients = network.backward(gpu, &saved, &upstream);
            for (which, gradient) in gradients.iter().enumerate() {
                let error = slope_error(&network, gpu, &upstream, which, gradient);
                println!("{}: training {training}, gradient {which}: {error:.1e}", gpu.report().name);
                assert!(error < 5e-3, "gradient {which}, training {training}: the slope is off by {error:.1e}");
                // The negative control: a gradient that is wrong in its larger half isn't the slope along itself.
                let mut wrong = gradient.clone();
                let typical = dot(gradient, gradient).sqrt() as f32 / (gradient.data.len() as f32).sqrt();
                wrong.data.iter_mut().filter(|value| value.abs() > typical).for_each(|value| *value *= 1.3);
                let error = slope_error(&network, gpu, &upstream, which, &wrong);
                assert!(error > 5e-3, "a wrong gradient {which} went unnoticed: {error:.1e}");
            }
        }
    }
}
