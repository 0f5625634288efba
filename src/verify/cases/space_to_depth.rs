//! `space_to_depth`, what a stem's convolution reads where it goes over blocks of pixels.

use super::super::case::{Body, Case, Expected, Kernel, Operation};
use super::super::key::{Key, PRECISION};
use super::super::report::Direction;
use super::lines::{halves, lines};
use crate::ops::host;
use crate::reference;

pub const OPERATIONS: &[Operation] = &[Operation {
    name: "space_to_depth",
    direction: Direction::Forward,
    keys: &[&[
        Key::size("n"),
        Key::size("c"),
        Key::size("h"),
        Key::size("w"),
        Key::extent("stride"),
        Key::pair("padding", 0),
        Key::extent("blocks"),
        PRECISION,
    ]],
    fill: true,
    list: |_| {
        let halves =
            halves(&["n=1 c=3 h=30 w=30 stride=2 padding=3 blocks=18", "n=2 c=2 h=5 w=7 stride=3,1 blocks=2,7"]);
        lines(CASES).into_iter().chain(halves).collect()
    },
    flops: |_| 0.0,
    body: Body::Kernel(Kernel {
        inputs: |case| Ok(vec![case.filled("input", &case.sizes(["n", "c", "h", "w"]), 0)]),
        run: |gpu, case, inputs| {
            Box::pin(async move {
                let [stride, padding, size] = geometry(case);
                Ok(vec![host::space_to_depth((gpu, case.precision()), &inputs[0], stride, padding, size).await?])
            })
        },
        twin: |case, inputs| {
            let [stride, padding, size] = geometry(case);
            vec![Expected::exact("output", reference::space_to_depth(&inputs[0], stride, padding, size))]
        },
        slope: None,
    }),
}];

const CASES: &str = "
    n=2 c=3 h=64 w=64 stride=2 padding=3 blocks=35
    n=1 c=3 h=9 w=9 stride=2 blocks=5
    n=1 c=3 h=9 w=8 stride=2 padding=1 blocks=4,3
    n=1 c=1 h=7 w=11 stride=4,3 padding=2,1 blocks=3,5
    n=3 c=4 h=5 w=6 stride=1,2 padding=0,4 blocks=5
    n=1 c=2 h=3 w=3 stride=3 padding=7 blocks=8
    n=1 c=64 h=5 w=6 stride=2 padding=1 blocks=3,4
    n=1 c=64 h=5 w=6 stride=1,2 padding=1 blocks=7,4 values=denormal
";

/// Stride, padding, blocks.
fn geometry(case: &Case) -> [[usize; 2]; 3] {
    ["stride", "padding", "blocks"].map(|name| case.pair(name))
}
