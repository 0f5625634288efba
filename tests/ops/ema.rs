use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference;
use pollster::FutureExt as _;

use crate::support::{Verdicts, adapters, array, passes, refused, tensor};

fn pair(shape: &[usize]) -> (Array, Array) {
    (array("ema.average", shape), array("ema.value", shape))
}

fn expected((average, value): &(Array, Array), decay: f64) -> reference::Tensor {
    let mut average = tensor(average);
    reference::ema(&mut average, &tensor(value), decay);
    average
}

#[test]
fn shapes_and_decays() {
    let mut verdicts = Verdicts::default();
    for gpu in adapters().iter() {
        for shape in [&[1][..], &[5], &[10, 33], &[64, 3, 7, 7]] {
            for decay in [0.0, 0.1, 0.9, 0.999, 1.0] {
                let pair = pair(shape);
                let found = host::ema(gpu, &pair.0, &pair.1, decay);
                verdicts.compare(gpu, &format!("{shape:?} decay {decay}"), found.block_on(), &expected(&pair, decay));
            }
        }
    }
    verdicts.finish("ema");
}

#[test]
fn another_decay_is_caught() {
    let pair = pair(&[40]);
    for gpu in adapters().iter() {
        let found = host::ema(gpu, &pair.0, &pair.1, 0.9).block_on().expect("a result");
        assert!(passes(&found.data, &expected(&pair, 0.9).data));
        assert!(!passes(&found.data, &expected(&pair, 0.901).data));
    }
}

#[test]
fn another_shape_is_refused() {
    let (average, _) = pair(&[4, 5]);
    for gpu in adapters().iter() {
        refused(gpu, "another value", host::ema(gpu, &average, &array("other", &[5, 4]), 0.9).block_on());
    }
}
