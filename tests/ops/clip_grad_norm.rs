use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference;
use pollster::FutureExt as _;

use crate::support::{Verdicts, adapters, array, array_with, passes, refused, tensor};

/// Gradients of many sizes; the largest has more than one partial sum for each invocation of a workgroup.
fn gradients() -> Vec<Array> {
    let shapes: [&[usize]; 7] = [&[1], &[3], &[64, 64, 3, 3], &[10, 33], &[512], &[5], &[70_001]];
    shapes.iter().enumerate().map(|(i, shape)| array(&format!("clip.{i}"), shape)).collect()
}

fn expected(grads: &[Array], max_norm: f64) -> (f64, Vec<reference::Tensor>) {
    let mut grads: Vec<_> = grads.iter().map(tensor).collect();
    let norm = reference::clip_grad_norm(&mut grads, max_norm);
    (norm, grads)
}

#[test]
fn norms_and_scaled_gradients() {
    let tiny = vec![array_with("clip.tiny", &[50], |_, value| value * 1e-12)];
    let zero = vec![array_with("clip.zero", &[7], |_, _| 0.0)];
    let mut verdicts = Verdicts::default();
    for gpu in adapters().iter() {
        for grads in [gradients(), gradients()[..1].to_vec(), tiny.clone(), zero.clone()] {
            for max_norm in [1e-3, 1.0, 1e6, f64::INFINITY] {
                let (want_norm, want) = expected(&grads, max_norm);
                let (norm, found) = host::clip_grad_norm(gpu, &grads, max_norm).block_on().expect("a result");
                assert!((f64::from(norm) - want_norm).abs() <= 1e-5 * want_norm, "{norm} against {want_norm}");
                for (i, (found, want)) in found.into_iter().zip(&want).enumerate() {
                    verdicts.compare(gpu, &format!("gradient {i} clipped to {max_norm}"), Ok(found), want);
                }
            }
        }
    }
    verdicts.finish("clip_grad_norm");
}

#[test]
fn another_norm_is_caught() {
    let grads = gradients();
    for gpu in adapters().iter() {
        let found = host::clip_grad_norm(gpu, &grads, 1.0).block_on().expect("a result").1;
        assert!(passes(&found[2].data, &expected(&grads, 1.0).1[2].data));
        assert!(!passes(&found[2].data, &expected(&grads, 1.001).1[2].data), "another largest norm went unnoticed");
        let fewer = expected(&grads[..6], 1.0).1;
        assert!(!passes(&found[2].data, &fewer[2].data), "a gradient that was left out went unnoticed");
    }
}

#[test]
fn impossible_norms_are_refused() {
    for gpu in adapters().iter() {
        for max_norm in [0.0, -1.0, f64::NAN] {
            refused(gpu, "the norm", host::clip_grad_norm(gpu, &gradients(), max_norm).block_on());
        }
    }
}
