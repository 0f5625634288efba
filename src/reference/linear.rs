//! `linear`: `output[n,k] = bias[k] + sum over c of input[n,c] weight[k,c]`, the classifier.

use super::{Gradients, Tensor};

/// `torch.nn.functional.linear`: `input` `[N, C]`, `weight` `[K, C]`, `bias` `[K]`, giving `[N, K]`.
pub fn linear(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let ([n, c], [k, weight_c]) = (input.dims(), weight.dims());
    assert_eq!(c, weight_c, "input and weight have different numbers of features");
    let mut output = Tensor::zeros(&[n, k]);
    for i in 0..n {
        let row = &input.data[i * c..][..c];
        for j in 0..k {
            let sum: f64 = row.iter().zip(&weight.data[j * c..][..c]).map(|(x, w)| x * w).sum();
            output[[i, j]] = sum + bias.map_or(0.0, |bias| bias[[j]]);
        }
    }
    output
}

/// The gradients from `grad_output` `[N, K]`: `grad_output weight`, `grad_output' input` and the sum over the batch.
pub fn linear_backward(input: &Tensor, weight: &Tensor, grad_output: &Tensor) -> Gradients {
    let ([n, c], [k, _]) = (input.dims(), weight.dims::<2>());
    assert_eq!(grad_output.shape, [n, k], "grad_output has another shape than the output");
    let mut gradients = Gradients {
        grad_input: Tensor::zeros(&[n, c]),
        grad_weight: Tensor::zeros(&[k, c]),
        grad_bias: Tensor::zeros(&[k]),
    };
    for i in 0..n {
        for j in 0..k {
            let grad = grad_output[[i, j]];
            gradients.grad_bias[[j]] += grad;
            for l in 0..c {
                gradients.grad_input.data[i * c + l] += grad * weight.data[j * c + l];
                gradients.grad_weight.data[j * c + l] += grad * input.data[i * c + l];
            }
        }
    }
    gradients
}

#[cfg(test)]
mod tests {
    use super::super::finite_difference::{assert_gradients, random};
    use super::*;

    #[test]
    fn backward_is_the_derivative() {
        assert_gradients(
            &[random("input", &[3, 5]), random("weight", &[4, 5]), random("bias", &[4])],
            |inputs| linear(&inputs[0], &inputs[1], Some(&inputs[2])),
            |inputs, grad| linear_backward(&inputs[0], &inputs[1], grad).into_vec(),
        );
    }
}
