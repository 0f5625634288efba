//! What logits mean: probabilities, the order of classes, the cross-entropy. All in f64.
//!
//! A network with a single output has two classes: the sigmoid of its logit is the probability of class 1 (PyTorch's
//! `BCEWithLogitsLoss`). This equals the softmax of 0 and the logit.

/// The number of classes of a network with this many outputs.
pub fn classes_of(outputs: usize) -> usize {
    outputs.max(2)
}

/// The logits of all classes: the network's, or for a single output 0 and that output.
fn of_classes(logits: &[f32]) -> Vec<f64> {
    let zero = (logits.len() == 1).then_some(0.0);
    zero.into_iter().chain(logits.iter().map(|&x| f64::from(x))).collect()
}

/// The probability of each class from one row of finite logits.
pub fn probabilities(logits: &[f32]) -> Vec<f64> {
    let logits = of_classes(logits);
    let most = logits.iter().copied().fold(f64::MIN, f64::max);
    let exps: Vec<f64> = logits.iter().map(|x| (x - most).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| e / sum).collect()
}

/// Minus the logarithm of the probability of class `target`. The probability itself may underflow.
pub fn cross_entropy(logits: &[f32], target: usize) -> f64 {
    let logits = of_classes(logits);
    let most = logits.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - most).exp()).sum();
    sum.ln() + (most - logits[target])
}

/// Indices of the `k` largest values, largest first; among equal values, lower indices first.
pub fn top_k(values: &[f64], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order.truncate(k);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_and_order() {
        let p = probabilities(&[1000.0, 1001.0, f32::MIN]);
        assert!((p[1] - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-12 && p[2] == 0.0);
        assert_eq!(top_k(&[0.1, 0.5, 0.5, 0.2], 3), [1, 2, 3]);
    }

    #[test]
    fn one_output_is_the_logit_of_two_classes() {
        // torch.sigmoid of doubles.
        for (logit, expected) in [(-10.0f32, 4.5397868702434395e-5), (0.0, 0.5), (2.0, 0.8807970779778823)] {
            let p = probabilities(&[logit]);
            assert!((p[1] / expected - 1.0).abs() < 1e-12 && (p[0] + p[1] - 1.0).abs() < 1e-15, "{logit}: {p:?}");
        }
        assert_eq!(probabilities(&[1e30]), [0.0, 1.0]);
        assert_eq!(probabilities(&[-1e30]), [1.0, 0.0]);
        assert_eq!((classes_of(1), classes_of(2), classes_of(1000)), (2, 2, 1000));
    }

    #[test]
    fn the_loss_of_a_class_that_was_not_thought_of_is_not_cut_off() {
        // torch.nn.functional.cross_entropy and binary_cross_entropy_with_logits.
        assert_eq!(cross_entropy(&[0.0, 2000.0], 0), 2000.0);
        assert_eq!(cross_entropy(&[2000.0], 0), 2000.0);
        assert!((cross_entropy(&[-10.0], 1) - 10.000045398899218).abs() < 1e-12);
        assert!((cross_entropy(&[-10.0], 0) - 4.539889921686465e-5).abs() < 1e-15);
        assert!((cross_entropy(&[1.0, 2.0, 3.0], 0) - 2.4076059644443806).abs() < 1e-12);
    }
}
