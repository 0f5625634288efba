//! `clip_grad_norm`: `norm = sqrt(sum of g^2)` over all gradients, then `g *= min(1, max_norm / (norm + 1e-6))`.

use super::Tensor;

/// Scales `grads` so that their common norm is at most `max_norm`, exactly like `torch.nn.utils.clip_grad_norm_`. Returns the norm before.
pub fn clip_grad_norm(grads: &mut [Tensor], max_norm: f64) -> f64 {
    let norm = grads.iter().flat_map(|grad| &grad.data).map(|g| g * g).sum::<f64>().sqrt();
    let factor = (max_norm / (norm + 1e-6)).min(1.0);
    grads.iter_mut().flat_map(|grad| &mut grad.data).for_each(|g| *g *= factor);
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_gradients_are_shortened_and_short_ones_left() {
        let mut grads = [Tensor::new(&[2], vec![3.0, 0.0]), Tensor::new(&[1], vec![-4.0])];
        assert_eq!(clip_grad_norm(&mut grads, 10.0), 5.0);
        assert_eq!(grads[1].data, [-4.0]);
        assert_eq!(clip_grad_norm(&mut grads, 1.0), 5.0);
        assert!((grads[0].data[0] - 0.6).abs() < 1e-6 && (grads[1].data[0] + 0.8).abs() < 1e-6);
    }
}
