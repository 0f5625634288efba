use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{global_avg_pool, global_avg_pool_backward};
use pollster::FutureExt as _;

use crate::support::{adapters, array, passes, refused, tensor};

/// grad_output for an input of `shape`.
fn grad_output(shape: &[usize]) -> Array {
    array("pool.grad_output", &shape[..2])
}

#[test]
fn a_missing_pixel_is_caught() {
    let input = array("pool", &[1, 3, 7, 7]);
    let mut holed = tensor(&input);
    holed.data[48] = 0.0;
    let expected = global_avg_pool(&holed);
    for gpu in adapters().iter() {
        let found = host::global_avg_pool(gpu, &input).block_on().expect("a result");
        assert!(!passes(&found.data, &expected.data));
        // Backward: the gradient of a sum, and one whose images are in the other order.
        let shape = [2, 3, 5, 4];
        let (input, grad) = (array("pool", &shape), grad_output(&shape));
        let expected = global_avg_pool_backward(&shape, &tensor(&grad));
        let found = host::global_avg_pool_backward(gpu, &input, &grad).block_on().expect("a result");
        assert!(passes(&found.data, &expected.data));
        assert!(!passes(&found.data, &expected.map(|value| value * 20.0).data));
        let turned: Vec<f64> = expected.data.iter().copied().cycle().skip(60).take(120).collect();
        assert!(!passes(&found.data, &turned));
    }
}

#[test]
fn impossible_shapes_are_refused() {
    for gpu in adapters().iter() {
        refused(gpu, "three axes", host::global_avg_pool(gpu, &array("pool", &[3, 7, 7])).block_on());
        let empty = Array { shape: vec![1, 3, 7, 0], data: Vec::new() };
        refused(gpu, "no columns", host::global_avg_pool(gpu, &empty).block_on());
        let (input, grad) = (array("pool", &[2, 3, 7, 7]), array("grad", &[2, 3]));
        refused(gpu, "three axes", host::global_avg_pool_backward(gpu, &array("pool", &[3, 7, 7]), &grad).block_on());
        refused(gpu, "no columns", host::global_avg_pool_backward(gpu, &empty, &grad).block_on());
        refused(gpu, "other channels", host::global_avg_pool_backward(gpu, &input, &array("grad", &[2, 4])).block_on());
        refused(
            gpu,
            "four axes",
            host::global_avg_pool_backward(gpu, &input, &array("grad", &[2, 3, 1, 1])).block_on(),
        );
    }
}
