//! `cross_entropy`: `loss = mean over n of -sum over k of q[n,k] log softmax(input[n])[k]`, where `q[n]` is
//! `1 - label_smoothing` at the target plus `label_smoothing / K` everywhere.

use super::{CrossEntropyAttributes, Tensor};

/// The loss and its gradient, which share the softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropyOutput {
    /// Mean loss over the samples that aren't ignored; NaN if all are, as in PyTorch.
    pub loss: f64,
    /// Gradient of the mean loss with respect to the logits, `[N, K]`: `(softmax(input) - q) / count`.
    pub grad_input: Tensor,
}

/// `torch.nn.functional.cross_entropy` of logits `input` `[N, K]` and class indices `target` (N of them, each below K
/// or equal to `ignore_index`).
pub fn cross_entropy(input: &Tensor, target: &[i64], attributes: &CrossEntropyAttributes) -> CrossEntropyOutput {
    let [n, k] = input.dims();
    assert_eq!(n, target.len(), "input and target have different numbers of samples");
    let CrossEntropyAttributes { label_smoothing: smoothing, ignore_index } = *attributes;
    let count = target.iter().filter(|&&class| class != ignore_index).count() as f64;
    let mut sum = 0.0;
    let mut grad_input = Tensor::zeros(&[n, k]);
    for (i, &class) in target.iter().enumerate().filter(|&(_, &class)| class != ignore_index) {
        assert!(class >= 0 && (class as usize) < k, "target {class} isn't a class from 0 to {}", k - 1);
        let class = class as usize;
        let logits = &input.data[i * k..][..k];
        let maximum = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = logits.iter().map(|x| (x - maximum).exp()).sum::<f64>().ln();
        let log_softmax = |j: usize| logits[j] - maximum - log_sum;
        sum -= (1.0 - smoothing) * log_softmax(class);
        // Without smoothing the other classes take no part, not even as 0 x infinity.
        if smoothing > 0.0 {
            sum -= smoothing / k as f64 * (0..k).map(log_softmax).sum::<f64>();
        }
        for j in 0..k {
            let q = smoothing / k as f64 + if j == class { 1.0 - smoothing } else { 0.0 };
            grad_input[[i, j]] = (log_softmax(j).exp() - q) / count;
        }
    }
    CrossEntropyOutput { loss: sum / count, grad_input }
}

#[cfg(test)]
mod tests {
    use super::super::finite_difference::{assert_gradients, random};
    use super::*;

    #[test]
    fn the_gradient_is_the_derivative() {
        for label_smoothing in [0.0, 0.1, 1.0] {
            let attributes = CrossEntropyAttributes { label_smoothing, ignore_index: 2 };
            let target = [3, 0, 2, 4];
            assert_gradients(
                &[random("input", &[4, 5])],
                |inputs| Tensor::new(&[], vec![cross_entropy(&inputs[0], &target, &attributes).loss]),
                |inputs, grad| {
                    let gradient = cross_entropy(&inputs[0], &target, &attributes).grad_input;
                    vec![gradient.map(|value| value * grad.data[0])]
                },
            );
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let input = Tensor::new(&[1, 3], vec![1e4, -1e4, 1e4]);
        let found = cross_entropy(&input, &[0], &CrossEntropyAttributes::default());
        assert!((found.loss - 2f64.ln()).abs() < 1e-12, "{found:?}");
    }
}
