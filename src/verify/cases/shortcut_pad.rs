//! `shortcut_pad` (option A of the paper's shortcuts), forward and backward.

use super::super::case::{Body, Case, Expected, Kernel, Operation, Slope, Suite};
use super::super::key::{Key, PRECISION};
use super::super::report::Direction;
use super::gradients::dot;
use super::lines::halves;

use crate::ops::host;
use crate::ops::shortcut_pad::ZeroPad;
use crate::reference;

const KEYS: &[Key] = &[
    Key::size("n"),
    Key::size("c"),
    Key::size("h"),
    Key::size("w"),
    Key::size("k"),
    Key::size("stride"),
    Key::count("before", 0),
    PRECISION,
];

type List = fn(Suite) -> Vec<String>;

const fn operation(name: &'static str, direction: Direction, list: List, kernel: Kernel) -> Operation {
    let body = Body::Kernel(kernel);
    Operation { name, direction, keys: &[KEYS], fill: true, list, flops: |_| 0.0, body }
}

pub const OPERATIONS: &[Operation] = &[
    operation(
        "shortcut_pad",
        Direction::Forward,
        |_| {
            let halves = halves(&["n=1 c=4 h=7 w=5 k=8 stride=2", "n=3 c=8 h=5 w=5 k=8 stride=3"]);
            CASES.map(str::to_owned).into_iter().chain(halves).collect()
        },
        Kernel {
            inputs: |case| Ok(vec![case.filled("input", &shape(case), 0)]),
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    Ok(vec![host::shortcut_pad((gpu, case.precision()), &inputs[0], case.size("k"), pad(case)).await?])
                })
            },
            twin: |case, inputs| {
                let output =
                    reference::shortcut_pad(&inputs[0], case.size("k"), case.size("stride"), case.size("before"));
                vec![Expected::exact("output", output)]
            },
            slope: None,
        },
    ),
    operation(
        "shortcut_pad_backward",
        Direction::Backward,
        |_| {
            let halves = halves(&["n=1 c=4 h=7 w=5 k=8 stride=2", "n=2 c=256 h=3 w=2 k=512 stride=2 before=128"]);
            CASES.map(str::to_owned).into_iter().chain(halves).collect()
        },
        Kernel {
            inputs: |case| {
                let ([n, _, h, w], stride) = (shape(case), case.size("stride").max(1));
                let output = [n, case.size("k"), h.div_ceil(stride), w.div_ceil(stride)];
                let grad = case.array("grad_output", &output);
                Ok(vec![case.filled("input", &shape(case), 0), grad, case.array("residual", &shape(case))])
            },
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    let on = (gpu, case.precision());
                    Ok(vec![host::shortcut_pad_backward(on, &inputs[1], &inputs[2], pad(case)).await?])
                })
            },
            twin: |case, inputs| {
                let grad =
                    reference::shortcut_pad_backward(&inputs[1], &inputs[2], case.size("stride"), case.size("before"));
                vec![Expected::gradient(case, "grad_input", grad, 1.0)]
            },
            slope: Some(Slope {
                objective: |case, inputs| {
                    let output =
                        reference::shortcut_pad(&inputs[0], case.size("k"), case.size("stride"), case.size("before"));
                    dot(&output, &inputs[1]) + dot(&inputs[0], &inputs[2])
                },
                gradients: &[(0, 0)],
            }),
        },
    ),
];

const CASES: [&str; 10] = [
    "n=2 c=16 h=32 w=32 k=32 stride=2",
    // Pixels with a line between them, which must not be taken for channels.
    "n=2 c=256 h=3 w=2 k=512 stride=2",
    "n=1 c=4 h=7 w=5 k=8 stride=2",
    "n=3 c=8 h=5 w=5 k=8 stride=3",
    "n=1 c=4 h=1 w=1 k=12 stride=4",
    "n=1 c=4 h=3 w=3 k=4 stride=1",
    "n=2 c=4 h=6 w=9 k=16 stride=5",
    "n=2 c=16 h=8 w=8 k=32 stride=2 before=8",
    "n=2 c=256 h=3 w=2 k=512 stride=2 before=128",
    "n=2 c=4 h=6 w=9 k=16 stride=2 values=denormal",
];

fn pad(case: &Case) -> ZeroPad {
    ZeroPad { stride: case.size("stride"), before: case.size("before") }
}

fn shape(case: &Case) -> [usize; 4] {
    case.sizes(["n", "c", "h", "w"])
}
