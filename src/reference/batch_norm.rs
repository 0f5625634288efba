//! `batch_norm`: `output = weight (input - mean) / sqrt(var + eps) + bias` per channel, where mean and var are the
//! batch's own (training; var is the biased one) or the running ones (evaluation).

use super::{BatchNormAttributes, Gradients, Tensor};

/// The results of `batch_norm`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormOutput {
    /// Normalised values, in the input's shape.
    pub output: Tensor,
    /// Running mean `[C]`: in training `(1 - momentum) old + momentum mean`, else unchanged.
    pub running_mean: Tensor,
    /// Running variance `[C]`: in training `(1 - momentum) old + momentum var` with the unbiased var, else unchanged.
    pub running_var: Tensor,
}

/// `torch.nn.functional.batch_norm`: `input` `[N, C, ...]`, all others `[C]`.
pub fn batch_norm(
    input: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    running_mean: &Tensor,
    running_var: &Tensor,
    attributes: &BatchNormAttributes,
) -> BatchNormOutput {
    let BatchNormAttributes { eps, momentum, training } = *attributes;
    let mut result = BatchNormOutput {
        output: Tensor::zeros(&input.shape),
        running_mean: running_mean.clone(),
        running_var: running_var.clone(),
    };
    for channel in 0..input.shape[1] {
        let (mut mean, mut var) = (running_mean[[channel]], running_var[[channel]]);
        if training {
            (mean, var) = statistics(input, channel);
            let count = offsets(input, channel).count() as f64;
            let unbiased = var * count / (count - 1.0);
            result.running_mean[[channel]] = (1.0 - momentum) * running_mean[[channel]] + momentum * mean;
            result.running_var[[channel]] = (1.0 - momentum) * running_var[[channel]] + momentum * unbiased;
        }
        let inverse = 1.0 / (var + eps).sqrt();
        for offset in offsets(input, channel) {
            let normalised = (input.data[offset] - mean) * inverse;
            result.output.data[offset] = weight[[channel]] * normalised + bias[[channel]];
        }
    }
    result
}

/// The gradients from `grad_output` (in the input's shape). In training mean and variance depend on the input too:
/// `grad_input = weight / sqrt(var + eps) (grad_output - mean(grad_output) - xhat mean(grad_output xhat))`.
pub fn batch_norm_backward(
    input: &Tensor,
    weight: &Tensor,
    running_mean: &Tensor,
    running_var: &Tensor,
    grad_output: &Tensor,
    attributes: &BatchNormAttributes,
) -> Gradients {
    assert_eq!(input.shape, grad_output.shape, "grad_output has another shape than the output");
    let channels = input.shape[1];
    let mut gradients = Gradients {
        grad_input: Tensor::zeros(&input.shape),
        grad_weight: Tensor::zeros(&[channels]),
        grad_bias: Tensor::zeros(&[channels]),
    };
    for channel in 0..channels {
        let (mean, var) = match attributes.training {
            true => statistics(input, channel),
            false => (running_mean[[channel]], running_var[[channel]]),
        };
        let inverse = 1.0 / (var + attributes.eps).sqrt();
        let normalised = |offset: usize| (input.data[offset] - mean) * inverse;
        let grad_bias: f64 = offsets(input, channel).map(|offset| grad_output.data[offset]).sum();
        let grad_weight: f64 = offsets(input, channel).map(|o| grad_output.data[o] * normalised(o)).sum();
        let count = offsets(input, channel).count() as f64;
        for offset in offsets(input, channel) {
            let mut grad = grad_output.data[offset];
            if attributes.training {
                grad -= grad_bias / count + normalised(offset) * grad_weight / count;
            }
            gradients.grad_input.data[offset] = weight[[channel]] * inverse * grad;
        }
        gradients.grad_weight[[channel]] = grad_weight;
        gradients.grad_bias[[channel]] = grad_bias;
    }
    gradients
}

/// Mean and biased variance of a channel, in two passes.
fn statistics(input: &Tensor, channel: usize) -> (f64, f64) {
    let count = offsets(input, channel).count() as f64;
    let mean = offsets(input, channel).map(|offset| input.data[offset]).sum::<f64>() / count;
    let var = offsets(input, channel).map(|offset| (input.data[offset] - mean).powi(2)).sum::<f64>() / count;
    (mean, var)
}

/// Offsets of all values of a channel, in order.
fn offsets(input: &Tensor, channel: usize) -> impl Iterator<Item = usize> {
    let (samples, channels) = (input.shape[0], input.shape[1]);
    let area: usize = input.shape[2..].iter().product();
    (0..samples).flat_map(move |n| (n * channels + channel) * area..(n * channels + channel + 1) * area)
}

#[cfg(test)]
mod tests {
    use super::super::finite_difference::{assert_gradients, random};
    use super::*;

    #[test]
    fn backward_is_the_derivative() {
        for (training, shape) in [(false, vec![2, 3, 2, 3]), (true, vec![2, 3, 2, 3]), (true, vec![5, 3])] {
            let attributes = BatchNormAttributes { training, ..Default::default() };
            let running_mean = random("running_mean", &[3]);
            let running_var = random("running_var", &[3]).map(|value| value.abs() + 0.5);
            assert_gradients(
                &[random("input", &shape), random("weight", &[3]), random("bias", &[3])],
                |inputs| {
                    let [input, weight, bias] = inputs else { unreachable!() };
                    batch_norm(input, weight, bias, &running_mean, &running_var, &attributes).output
                },
                |inputs, grad| {
                    let [input, weight, _] = inputs else { unreachable!() };
                    batch_norm_backward(input, weight, &running_mean, &running_var, grad, &attributes).into_vec()
                },
            );
        }
    }
}
