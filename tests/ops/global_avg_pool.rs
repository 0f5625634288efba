use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{global_avg_pool, global_avg_pool_backward};

use crate::support::{Verdicts, adapters, array, array_with, deterministic, passes, refused, tensor};

fn check(inputs: &[Array]) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for input in inputs {
        let expected = global_avg_pool(&tensor(input));
        for gpu in adapters.iter() {
            verdicts.compare(gpu, &format!("{:?}", input.shape), host::global_avg_pool(gpu, input), &expected);
        }
    }
    drop(adapters);
    verdicts.finish("global_avg_pool");
}

#[test]
fn shapes() {
    let mut inputs = vec![
        array("pool", &[2, 2048, 7, 7]),
        array("pool", &[3, 5, 1, 1]),
        // One and two parts of 64 pixels, and one pixel more.
        array("pool", &[1, 3, 8, 8]),
        array("pool", &[1, 3, 5, 13]),
        array("pool", &[1, 6, 16, 8]),
        array("pool", &[1, 2, 300, 301]),
    ];
    inputs.extend((1..=9).map(|channels| array("pool", &[2, channels, 3, 5])));
    check(&inputs);
}

/// grad_output for an input of `shape`.
fn grad_output(shape: &[usize]) -> Array {
    array("pool.grad_output", &shape[..2])
}

#[test]
fn backward() {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    let mut shapes = vec![[2, 2048, 7, 7], [3, 5, 1, 1], [1, 3, 5, 13], [1, 2, 300, 301], [70, 3, 2, 1]];
    shapes.extend((1..=9).map(|channels| [2, channels, 3, 5]));
    for shape in shapes {
        let (input, grad) = (array("pool", &shape), grad_output(&shape));
        let expected = global_avg_pool_backward(&shape, &tensor(&grad));
        for gpu in adapters.iter() {
            let found = host::global_avg_pool_backward(gpu, &input, &grad);
            verdicts.compare(gpu, &format!("{shape:?}"), found, &expected);
        }
    }
    drop(adapters);
    verdicts.finish("global_avg_pool_backward");
}

#[test]
fn magnitudes_and_special_values() {
    let shape = [2, 5, 7, 7];
    check(&[
        array_with("pool", &shape, |_, value| value + 1000.0),
        array_with("pool", &shape, |_, value| value * 1e35),
        array_with("pool", &shape, |_, value| value * 1e-30),
        array_with("pool", &shape, |_, _| 0.0),
        array_with("pool", &shape, |i, value| if i == 100 { f32::NAN } else { value }),
        array_with("pool", &shape, |i, value| if i == 100 { f32::NEG_INFINITY } else { value }),
    ]);
}

#[test]
fn a_missing_pixel_is_caught() {
    let input = array("pool", &[1, 3, 7, 7]);
    let mut holed = tensor(&input);
    holed.data[48] = 0.0;
    let expected = global_avg_pool(&holed);
    for gpu in adapters().iter() {
        let found = host::global_avg_pool(gpu, &input).expect("a result");
        assert!(!passes(&found.data, &expected.data));
        // Backward: the gradient of a sum, and one whose images are in the other order.
        let shape = [2, 3, 5, 4];
        let (input, grad) = (array("pool", &shape), grad_output(&shape));
        let expected = global_avg_pool_backward(&shape, &tensor(&grad));
        let found = host::global_avg_pool_backward(gpu, &input, &grad).expect("a result");
        assert!(passes(&found.data, &expected.data));
        assert!(!passes(&found.data, &expected.map(|value| value * 20.0).data));
        let turned: Vec<f64> = expected.data.iter().copied().cycle().skip(60).take(120).collect();
        assert!(!passes(&found.data, &turned));
    }
}

#[test]
fn the_same_bits_every_time() {
    let input = array("pool", &[2, 9, 23, 17]);
    let grad = grad_output(&input.shape);
    deterministic(|gpu| {
        [host::global_avg_pool(gpu, &input), host::global_avg_pool_backward(gpu, &input, &grad)]
            .map(|found| found.expect("a result"))
            .to_vec()
    });
}

#[test]
fn impossible_shapes_are_refused() {
    for gpu in adapters().iter() {
        refused(gpu, "three axes", host::global_avg_pool(gpu, &array("pool", &[3, 7, 7])));
        let empty = Array { shape: vec![1, 3, 7, 0], data: Vec::new() };
        refused(gpu, "no columns", host::global_avg_pool(gpu, &empty));
        let (input, grad) = (array("pool", &[2, 3, 7, 7]), array("grad", &[2, 3]));
        refused(gpu, "three axes", host::global_avg_pool_backward(gpu, &array("pool", &[3, 7, 7]), &grad));
        refused(gpu, "no columns", host::global_avg_pool_backward(gpu, &empty, &grad));
        refused(gpu, "other channels", host::global_avg_pool_backward(gpu, &input, &array("grad", &[2, 4])));
        refused(gpu, "four axes", host::global_avg_pool_backward(gpu, &input, &array("grad", &[2, 3, 1, 1])));
    }
}
