use gpu_resnet::ops::attributes::SgdAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{self, SgdState};
use pollster::FutureExt as _;

use crate::support::{adapters, array, passes, refused, tensor};

/// Parameter, gradient and momentum buffer.
type Case = (Array, Array, Option<Array>, SgdAttributes);

fn case(shape: &[usize], buffer: bool, attributes: SgdAttributes) -> Case {
    let buffer = buffer.then(|| array("sgd.momentum_buffer", shape));
    (array("sgd.param", shape), array("sgd.grad", shape), buffer, attributes)
}

fn expected((param, grad, buffer, attributes): &Case) -> (reference::Tensor, Option<reference::Tensor>) {
    let mut param = tensor(param);
    let mut state = SgdState { momentum_buffer: buffer.as_ref().map(tensor) };
    reference::sgd(&mut param, &tensor(grad), &mut state, attributes);
    (param, state.momentum_buffer)
}

const PLAIN: SgdAttributes =
    SgdAttributes { lr: 0.1, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, maximize: false };
const MOMENTUM: SgdAttributes = SgdAttributes { momentum: 0.9, ..PLAIN };

#[test]
fn wrong_attributes_are_caught() {
    let right = SgdAttributes { weight_decay: 0.05, ..MOMENTUM };
    let (param, grad, buffer, _) = case(&[40], true, right);
    let (want, _) = expected(&(param.clone(), grad.clone(), buffer.clone(), right));
    for gpu in adapters().iter() {
        let run = |buffer: Option<&Array>, a: &SgdAttributes| {
            host::sgd(gpu, &param, &grad, buffer, a).block_on().expect("a result").0
        };
        assert!(passes(&run(buffer.as_ref(), &right).data, &want.data));
        for wrong in [
            SgdAttributes { lr: 0.101, ..right },
            SgdAttributes { momentum: 0.89, ..right },
            SgdAttributes { weight_decay: 0.0, ..right },
            SgdAttributes { dampening: 0.1, ..right },
            SgdAttributes { nesterov: true, ..right },
            SgdAttributes { maximize: true, ..right },
        ] {
            assert!(!passes(&run(buffer.as_ref(), &wrong).data, &want.data), "{wrong:?} went unnoticed");
        }
        assert!(!passes(&run(None, &right).data, &want.data), "a forgotten buffer went unnoticed");
    }
}

#[test]
fn impossible_inputs_are_refused() {
    let (param, grad, _, _) = case(&[4, 5], false, MOMENTUM);
    let other = array("other", &[5, 4]);
    let empty = Array { shape: vec![0], data: Vec::new() };
    for gpu in adapters().iter() {
        refused(gpu, "another gradient", host::sgd(gpu, &param, &other, None, &MOMENTUM).block_on());
        refused(gpu, "another buffer", host::sgd(gpu, &param, &grad, Some(&other), &MOMENTUM).block_on());
        refused(gpu, "no values", host::sgd(gpu, &empty, &empty, None, &MOMENTUM).block_on());
        let attributes = SgdAttributes { nesterov: true, ..PLAIN };
        refused(gpu, "nesterov without momentum", host::sgd(gpu, &param, &grad, None, &attributes).block_on());
    }
}
