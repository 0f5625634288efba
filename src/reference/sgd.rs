//! `sgd`: `b = momentum b + (1 - dampening) g` (the first time `b = g`), `param -= lr b`, or with Nesterov
//! `param -= lr (g + momentum b)`; `g = grad + weight_decay param`.

use super::{SgdAttributes, Tensor};

/// SGD's state for one parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SgdState {
    /// The momentum buffer; `None` before the first update with momentum.
    pub momentum_buffer: Option<Tensor>,
}

/// One update of `param` by `grad`, exactly `torch.optim.SGD`'s.
pub fn sgd(param: &mut Tensor, grad: &Tensor, state: &mut SgdState, attributes: &SgdAttributes) {
    let SgdAttributes { lr, momentum, dampening, weight_decay, nesterov, maximize } = *attributes;
    let sign = if maximize { -1.0 } else { 1.0 };
    let mut grad = grad.zip(param, |grad, param| sign * grad + weight_decay * param);
    if momentum != 0.0 {
        let buffer = match state.momentum_buffer.take() {
            // Not dampened: PyTorch's first buffer is the gradient itself.
            None => grad.clone(),
            Some(buffer) => buffer.zip(&grad, |buffer, grad| momentum * buffer + (1.0 - dampening) * grad),
        };
        grad = if nesterov { grad.zip(&buffer, |grad, buffer| grad + momentum * buffer) } else { buffer.clone() };
        state.momentum_buffer = Some(buffer);
    }
    *param = param.zip(&grad, |param, grad| param - lr * grad);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_buffer_is_not_dampened() {
        let (mut param, mut state) = (Tensor::new(&[1], vec![1.0]), SgdState::default());
        let attributes = SgdAttributes { lr: 0.5, momentum: 0.5, dampening: 0.25, ..Default::default() };
        sgd(&mut param, &Tensor::new(&[1], vec![1.0]), &mut state, &attributes);
        assert_eq!(param.data, [0.5]);
        sgd(&mut param, &Tensor::new(&[1], vec![1.0]), &mut state, &attributes);
        assert_eq!((param.data, state.momentum_buffer.unwrap().data), (vec![0.5 - 0.5 * 1.25], vec![1.25]));
    }
}
