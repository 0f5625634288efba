//! `conv2d_backward_input`: the input gradient alone, for the kernels that compute no other gradient: cooperative matrices.

use super::super::case::{Body, Expected, Kernel, Operation, Suite};
use super::super::key::{Key, PRECISION, VARIANT};
use super::super::report::Direction;
use super::conv2d::{GEOMETRY, Geometry, MATRICES};
use super::lines::{halves, lines};
use crate::ops::host::{self, Array, MapEpilogue};
use crate::reference;

pub const OPERATIONS: &[Operation] = &[Operation {
    name: "conv2d_backward_input",
    direction: Direction::Backward,
    keys: &[
        GEOMETRY,
        &[
            Key::flag("residual"),
            Key::flag("relu"),
            Key::number("weight_scale", 1.0),
            PRECISION,
            Key::name(VARIANT, MATRICES),
        ],
    ],
    fill: true,
    list: |suite| {
        let mut all = lines(CORNERS);
        // One pixel and channel less than a tile, a whole one, and one more; and the same of the steps of a tile.
        for (w, c, k) in [(63, 63, 4), (64, 64, 16), (65, 65, 20), (127, 1, 32), (128, 129, 36), (129, 7, 64)] {
            all.push(format!("n=1 c={c} h=1 w={w} k={k} kernel=1 residual=true"));
        }
        if suite == Suite::Full {
            all.extend(lines(RESNET));
        }
        let wide: Vec<&str> = all.iter().map(String::as_str).collect();
        let half = halves(&wide);
        // Blocks of pixels, which have no kernels for f16.
        all.push("n=1 c=3 h=9 w=11 k=16 kernel=3 stride=2 padding=1 residual=true".into());
        all.iter()
            .chain(&half)
            .flat_map(|line| MATRICES.iter().map(move |name| format!("{line} variant={name}")))
            .collect()
    },
    flops: |case| 2.0 * Geometry::of(case).multiply_adds(),
    body: Body::Kernel(Kernel {
        inputs: |case| {
            let g = Geometry::of(case);
            Ok(vec![
                case.array("input", &g.input),
                g.weight(case),
                case.filled("grad_output", &g.outputs()?, 0),
                case.array("residual", &g.input),
            ])
        },
        run: |gpu, case, inputs| {
            Box::pin(async move {
                let [input, weight, grad, residual] = inputs else { unreachable!("four inputs") };
                let end = MapEpilogue { residual: case.flag("residual").then_some(residual), relu: case.flag("relu") };
                let attributes = Geometry::of(case).attributes;
                let input = Array { shape: input.shape.clone(), data: input.data.iter().map(|v| v.max(0.0)).collect() };
                let (on, algorithm) = ((gpu, case.precision()), case.algorithm());
                Ok(vec![host::conv2d_backward_input(on, algorithm, [&input, weight], grad, end, &attributes).await?])
            })
        },
        twin: |case, inputs| {
            let [input, weight, grad, residual] = inputs else { unreachable!("four inputs") };
            let g = Geometry::of(case);
            let mut expected = reference::conv2d_backward(input, weight, grad, &g.attributes).grad_input;
            if case.flag("residual") {
                expected = expected.zip(residual, |a, b| a + b);
            }
            if case.flag("relu") {
                expected = reference::relu_backward(input, &expected);
            }
            let terms = g.weight[0] / g.attributes.groups * g.weight[2] * g.weight[3];
            vec![Expected::stored(case, "grad_input", expected, terms as f64 + 2.0)]
        },
        slope: None,
    }),
}];

const CORNERS: &str = "
    n=1 c=64 h=14 w=14 k=64 kernel=3 padding=1 residual=true relu=true
    n=2 c=40 h=9 w=8 k=24 kernel=3 stride=2 padding=1 relu=true
    n=1 c=70 h=10 w=7 k=12 kernel=1 stride=2
    n=2 c=5 h=12 w=17 k=6 kernel=3,2 stride=2,1 padding=0,3 dilation=1,5
    n=1 c=5 h=8 w=8 k=6 kernel=3 stride=4 padding=1 residual=true
    # No tap of most phases.
    n=1 c=8 h=8 w=8 k=4 kernel=1 stride=3 residual=true
    n=2 c=6 h=7 w=5 k=10 kernel=3 padding=1 groups=2 residual=true relu=true
    n=1 c=128 h=7 w=7 k=128 kernel=3 padding=1 groups=32
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 values=zeros
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 scale=300.0
    n=2 c=5 h=9 w=9 k=5 kernel=3 padding=1 values=nan
    n=2 c=5 h=9 w=9 k=5 kernel=3 padding=1 values=inf
";

const RESNET: &str = "
    n=1 c=64 h=56 w=56 k=64 kernel=3 padding=1 relu=true
    n=1 c=256 h=56 w=56 k=512 kernel=1 stride=2 residual=true relu=true
    n=1 c=512 h=7 w=7 k=512 kernel=3 padding=1 relu=true
";
