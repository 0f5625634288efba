//! `adam`: `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`,
//! `param -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)` with `g = grad + weight_decay param`.

use super::{AdamAttributes, Tensor};

/// Adam's state for one parameter, under `torch.optim.Adam`'s names.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamState {
    /// Number of updates made.
    pub step: u64,
    /// Running mean of the gradient.
    pub exp_avg: Tensor,
    /// Running mean of the squared gradient.
    pub exp_avg_sq: Tensor,
    /// Largest `exp_avg_sq` so far; only `amsgrad` changes it.
    pub max_exp_avg_sq: Tensor,
}

impl AdamState {
    /// The state before the first update of a parameter of `shape`.
    pub fn new(shape: &[usize]) -> Self {
        let zeros = Tensor::zeros(shape);
        Self { step: 0, exp_avg: zeros.clone(), exp_avg_sq: zeros.clone(), max_exp_avg_sq: zeros }
    }
}

/// One update of `param` by `grad`, exactly `torch.optim.Adam`'s; the weight decay is part of the gradient.
pub fn adam(param: &mut Tensor, grad: &Tensor, state: &mut AdamState, attributes: &AdamAttributes) {
    let sign = if attributes.maximize { -1.0 } else { 1.0 };
    let grad = grad.zip(param, |grad, param| sign * grad + attributes.weight_decay * param);
    step(param, &grad, state, attributes);
}

/// The part that Adam and AdamW share: moments, bias correction and update.
pub(super) fn step(param: &mut Tensor, grad: &Tensor, state: &mut AdamState, attributes: &AdamAttributes) {
    assert_eq!(param.shape, grad.shape, "grad has another shape than param");
    assert_eq!(param.shape, state.exp_avg.shape, "the state belongs to another parameter");
    let AdamAttributes { lr, betas: [beta1, beta2], eps, amsgrad, .. } = *attributes;
    state.step += 1;
    // `powf`, because `powi` takes an i32 and multiplies rounding errors.
    let correction1 = 1.0 - beta1.powf(state.step as f64);
    let correction2 = 1.0 - beta2.powf(state.step as f64);
    for i in 0..param.data.len() {
        let (m, v) = (&mut state.exp_avg.data[i], &mut state.exp_avg_sq.data[i]);
        *m = beta1 * *m + (1.0 - beta1) * grad.data[i];
        *v = beta2 * *v + (1.0 - beta2) * grad.data[i] * grad.data[i];
        let mut second = *v;
        if amsgrad {
            let largest = &mut state.max_exp_avg_sq.data[i];
            // NaN stays, as with torch.maximum.
            *largest = if *v > *largest || v.is_nan() { *v } else { *largest };
            second = *largest;
        }
        let denominator = second.sqrt() / correction2.sqrt() + eps;
        param.data[i] -= lr / correction1 * *m / denominator;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_moves_by_the_learning_rate() {
        let mut param = Tensor::new(&[2], vec![1.0, 1.0]);
        let grad = Tensor::new(&[2], vec![1e-3, -50.0]);
        adam(&mut param, &grad, &mut AdamState::new(&[2]), &AdamAttributes { lr: 0.1, ..Default::default() });
        assert!((param.data[0] - 0.9).abs() < 1e-5 && (param.data[1] - 1.1).abs() < 1e-5, "{param:?}");
    }
}
