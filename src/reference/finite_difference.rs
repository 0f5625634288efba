//! Tests a backward pass against central differences of its forward pass, with a non-unit upstream gradient.

use super::{Gradients, Tensor};

/// Uniform values in [-2, 2) that depend on `name` only: SplitMix64 seeded with the name's FNV-1a hash.
pub(super) fn random(name: &str, shape: &[usize]) -> Tensor {
    let seed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let value = |index: u64| {
        let mut z = seed.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24) * 4.0 - 2.0
    };
    Tensor::new(shape, (0..shape.iter().product::<usize>() as u64).map(value).collect())
}

impl Gradients {
    /// The three gradients in the order input, weight, bias.
    pub(super) fn into_vec(self) -> Vec<Tensor> {
        vec![self.grad_input, self.grad_weight, self.grad_bias]
    }
}

/// Panics unless `backward(inputs, grad_output)` gives, for every input, the derivative of
/// `sum(forward(inputs) * grad_output)`.
pub(super) fn assert_gradients(
    inputs: &[Tensor],
    forward: impl Fn(&[Tensor]) -> Tensor,
    backward: impl Fn(&[Tensor], &Tensor) -> Vec<Tensor>,
) {
    const STEP: f64 = 1e-5;
    const TOLERANCE: f64 = 1e-7;
    let grad_output = random("grad_output", &forward(inputs).shape);
    let objective = |inputs: &[Tensor]| -> f64 {
        forward(inputs).data.iter().zip(&grad_output.data).map(|(value, grad)| value * grad).sum()
    };
    let gradients = backward(inputs, &grad_output);
    assert_eq!(gradients.len(), inputs.len(), "one gradient for each input");
    for (which, gradient) in gradients.iter().enumerate() {
        assert_eq!(gradient.shape, inputs[which].shape, "gradient {which} has another shape than its input");
        for position in 0..gradient.data.len() {
            let moved = |by: f64| {
                let mut inputs = inputs.to_vec();
                inputs[which].data[position] += by;
                objective(&inputs)
            };
            let (found, expected) = (gradient.data[position], (moved(STEP) - moved(-STEP)) / (2.0 * STEP));
            let error = (found - expected).abs();
            assert!(
                error <= TOLERANCE * expected.abs().max(1.0),
                "gradient {which}[{position}] is {found}, differences give {expected}"
            );
        }
    }
}

/// The negative control: a gradient that is off by 0.01 % in one element must be caught.
#[test]
#[should_panic(expected = "gradient 0[4] is")]
fn a_wrong_gradient_is_caught() {
    assert_gradients(
        &[random("input", &[7])],
        |inputs| inputs[0].map(|x| x * x),
        |inputs, grad| {
            let mut gradient = inputs[0].zip(grad, |x, grad| 2.0 * x * grad);
            gradient.data[4] *= 1.0001;
            vec![gradient]
        },
    );
}
