//! `adamw`: `param *= 1 - lr weight_decay`, then Adam's update by the bare gradient (decoupled weight decay).

use super::{AdamAttributes, AdamState, Tensor, adam::step};

/// One update of `param` by `grad`, exactly `torch.optim.AdamW`'s. Its defaults are [`AdamAttributes::adamw`].
pub fn adamw(param: &mut Tensor, grad: &Tensor, state: &mut AdamState, attributes: &AdamAttributes) {
    let sign = if attributes.maximize { -1.0 } else { 1.0 };
    *param = param.map(|value| value * (1.0 - attributes.lr * attributes.weight_decay));
    step(param, &grad.map(|value| sign * value), state, attributes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_gradient_the_parameter_only_decays() {
        let mut param = Tensor::new(&[1], vec![2.0]);
        let attributes = AdamAttributes { lr: 0.1, weight_decay: 0.5, ..AdamAttributes::adamw() };
        adamw(&mut param, &Tensor::zeros(&[1]), &mut AdamState::new(&[1]), &attributes);
        assert_eq!(param.data, [2.0 * 0.95]);
    }
}
