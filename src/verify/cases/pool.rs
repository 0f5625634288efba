//! Pooling, forward and backward.

use super::super::case::{Body, Case, Expected, Kernel, Operation, Slope, Suite};
use super::super::key::{Key, PRECISION, VALUES};
use super::super::report::Direction;
use super::gradients::dot;
use super::lines::{halves, lines};
use crate::ops::attributes::PoolAttributes;
use crate::ops::host::{self, Array};
use crate::reference;

const SHAPE: [Key; 4] = [Key::size("n"), Key::size("c"), Key::size("h"), Key::size("w")];
const WINDOW: [Key; 4] =
    [Key::extent("kernel"), Key::pair("stride", 1), Key::pair("padding", 0), Key::flag("ceil_mode")];

const FORWARD: &[Key] =
    &[SHAPE[0], SHAPE[1], SHAPE[2], SHAPE[3], WINDOW[0], WINDOW[1], WINDOW[2], WINDOW[3], PRECISION];
const GLOBAL: &[Key] = &[SHAPE[0], SHAPE[1], SHAPE[2], SHAPE[3], PRECISION];
const BACKWARD: &[Key] = &[
    SHAPE[0],
    SHAPE[1],
    SHAPE[2],
    SHAPE[3],
    WINDOW[0],
    WINDOW[1],
    WINDOW[2],
    WINDOW[3],
    Key::word("grad_values", VALUES),
    PRECISION,
];

const fn forward(name: &'static str, kernel: Kernel) -> Operation {
    let body = Body::Kernel(kernel);
    Operation { name, direction: Direction::Forward, keys: &[FORWARD], fill: true, list: forward_list, flops, body }
}

const fn backward(name: &'static str, kernel: Kernel) -> Operation {
    let body = Body::Kernel(kernel);
    Operation { name, direction: Direction::Backward, keys: &[BACKWARD], fill: true, list: backward_list, flops, body }
}

pub const OPERATIONS: &[Operation] = &[
    forward(
        "max_pool2d",
        Kernel {
            inputs: |case| Ok(vec![case.filled("input", &shape(case), 0)]),
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    Ok(vec![host::max_pool2d((gpu, case.precision()), &inputs[0], &attributes(case)).await?])
                })
            },
            twin: |case, inputs| vec![Expected::exact("output", reference::max_pool2d(&inputs[0], &attributes(case)))],
            slope: None,
        },
    ),
    backward(
        "max_pool2d_backward",
        Kernel {
            inputs: with_grad,
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    Ok(vec![
                        host::max_pool2d_backward((gpu, case.precision()), &inputs[0], &inputs[1], &attributes(case))
                            .await?,
                    ])
                })
            },
            twin: |case, inputs| {
                let grad = reference::max_pool2d_backward(&inputs[0], &inputs[1], &attributes(case));
                vec![Expected::gradient(case, "grad_input", grad, windows(case))]
            },
            slope: Some(Slope {
                objective: |case, inputs| dot(&reference::max_pool2d(&inputs[0], &attributes(case)), &inputs[1]),
                gradients: &[(0, 0)],
            }),
        },
    ),
    forward(
        "avg_pool2d",
        Kernel {
            inputs: |case| Ok(vec![case.filled("input", &shape(case), 0)]),
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    Ok(vec![host::avg_pool2d((gpu, case.precision()), &inputs[0], &attributes(case)).await?])
                })
            },
            twin: |case, inputs| {
                let output = reference::avg_pool2d(&inputs[0], &attributes(case));
                vec![Expected::stored(case, "output", output, taps(case))]
            },
            slope: None,
        },
    ),
    backward(
        "avg_pool2d_backward",
        Kernel {
            inputs: with_grad,
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    Ok(vec![
                        host::avg_pool2d_backward((gpu, case.precision()), &inputs[0], &inputs[1], &attributes(case))
                            .await?,
                    ])
                })
            },
            twin: |case, inputs| {
                let grad = reference::avg_pool2d_backward(&inputs[0].shape, &inputs[1], &attributes(case));
                vec![Expected::gradient(case, "grad_input", grad, windows(case))]
            },
            slope: Some(Slope {
                objective: |case, inputs| dot(&reference::avg_pool2d(&inputs[0], &attributes(case)), &inputs[1]),
                gradients: &[(0, 0)],
            }),
        },
    ),
    Operation {
        name: "global_avg_pool",
        direction: Direction::Forward,
        keys: &[GLOBAL],
        fill: true,
        list: global_list,
        flops: |case| shape(case).iter().map(|&extent| extent as f64).product(),
        body: Body::Kernel(Kernel {
            inputs: |case| Ok(vec![case.filled("input", &shape(case), 0)]),
            run: |gpu, case, inputs| {
                Box::pin(async move { Ok(vec![host::global_avg_pool((gpu, case.precision()), &inputs[0]).await?]) })
            },
            twin: |case, inputs| {
                let pixels = (case.size("h") * case.size("w")) as f64;
                // Parts of 64 pixels are added up.
                let terms = pixels.min(64.0) + pixels / 64.0;
                vec![Expected::sum("output", reference::global_avg_pool(&inputs[0]), terms)]
            },
            slope: None,
        }),
    },
    Operation {
        name: "global_avg_pool_backward",
        direction: Direction::Backward,
        keys: &[&[SHAPE[0], SHAPE[1], SHAPE[2], SHAPE[3], Key::word("grad_values", VALUES), PRECISION]],
        fill: true,
        list: |_| {
            let shapes = "
                n=2 c=2048 h=7 w=7
                n=3 c=5 h=1 w=1
                n=1 c=3 h=5 w=13
                n=1 c=2 h=300 w=301
                n=70 c=3 h=2 w=1
                n=2 c=5 h=7 w=7 grad_values=nan
                n=2 c=5 h=7 w=7 grad_values=denormal
            ";
            let mut all = lines(shapes);
            all.extend((1..=9).map(|c| format!("n=2 c={c} h=3 w=5")));
            all.extend(halves(&["n=2 c=256 h=3 w=5", "n=70 c=3 h=2 w=1", "n=2 c=5 h=7 w=7 grad_values=inf"]));
            all
        },
        flops: |case| shape(case).iter().map(|&extent| extent as f64).product(),
        body: Body::Kernel(Kernel {
            inputs: |case| {
                let [n, c, ..] = shape(case);
                Ok(vec![case.filled("input", &shape(case), 0), case.grad("grad_output", &[n, c], 1)])
            },
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    Ok(vec![host::global_avg_pool_backward((gpu, case.precision()), &inputs[0], &inputs[1]).await?])
                })
            },
            twin: |case, inputs| {
                let grad = reference::global_avg_pool_backward(&inputs[0].shape, &inputs[1]);
                vec![Expected::gradient(case, "grad_input", grad, DIVISION)]
            },
            slope: Some(Slope {
                objective: |_, inputs| dot(&reference::global_avg_pool(&inputs[0]), &inputs[1]),
                gradients: &[(0, 0)],
            }),
        }),
    },
];

/// A division may be off by 2.5 units in the last place, as Vulkan allows: as much as this many roundings.
const DIVISION: f64 = 16.0;

fn shape(case: &Case) -> [usize; 4] {
    case.sizes(["n", "c", "h", "w"])
}

fn attributes(case: &Case) -> PoolAttributes {
    let (kernel_size, stride, padding) = (case.pair("kernel"), case.pair("stride"), case.pair("padding"));
    PoolAttributes { kernel_size, stride, padding, ceil_mode: case.flag("ceil_mode") }
}

/// Pixels of one window that are in the image.
fn taps(case: &Case) -> f64 {
    let ([_, _, h, w], [r, s]) = (shape(case), case.pair("kernel"));
    DIVISION + (r.min(h) * s.min(w)) as f64
}

/// Windows over one pixel.
fn windows(case: &Case) -> f64 {
    let ([r, s], [sr, ss]) = (case.pair("kernel"), case.pair("stride"));
    let [p, q] = attributes(case).output_size(case.size("h"), case.size("w")).map_or([1, 1], |(p, q)| [p, q]);
    DIVISION + (r.div_ceil(sr.max(1)).min(p) * s.div_ceil(ss.max(1)).min(q)) as f64
}

fn with_grad(case: &Case) -> crate::Result<Vec<Array>> {
    let [n, c, h, w] = shape(case);
    let (p, q) = attributes(case).output_size(h, w)?;
    Ok(vec![case.filled("input", &[n, c, h, w], 0), case.grad("grad_output", &[n, c, p, q], 1)])
}

fn flops(case: &Case) -> f64 {
    let [n, c, h, w] = shape(case);
    let (p, q) = attributes(case).output_size(h, w).unwrap_or((0, 0));
    (n * c * p * q) as f64 * taps(case)
}

/// Both directions have these. Inputs lie below zero, so that a zero of the padding would win a maximum.
fn shared() -> Vec<String> {
    let mut all = lines(
        "
        n=2 c=64 h=56 w=56 kernel=3 stride=2 padding=1 offset=-3.0
        n=1 c=64 h=57 w=56 kernel=3 stride=2 ceil_mode=true offset=-3.0
        n=1 c=3 h=4 w=4 kernel=2,4 stride=2,4 offset=-3.0
        n=1 c=1 h=1 w=1 kernel=1
        # Pixels with a line between them.
        n=2 c=256 h=5 w=4 kernel=3 stride=2 padding=1 offset=-3.0
        n=2 c=3 h=7 w=5 kernel=7 padding=3 offset=-3.0
        n=1 c=5 h=6 w=11 kernel=3,2 stride=1,3 padding=1,0 offset=-3.0
        # Pixels that no window holds.
        n=2 c=3 h=9 w=9 kernel=2 stride=5 padding=1 offset=-3.0
        n=2 c=3 h=10 w=11 kernel=2 stride=3
        # The rounded-up last window would start in the right padding.
        n=1 c=4 h=3 w=3 kernel=2 stride=2 padding=1 ceil_mode=true offset=-3.0
        # A single window larger than the input, and ones that hang over.
        n=1 c=4 h=2 w=2 kernel=3 stride=2 ceil_mode=true
        n=1 c=4 h=5 w=6 kernel=3 stride=3 padding=1 ceil_mode=true
        n=1 c=4 h=2 w=2 kernel=1 stride=3 ceil_mode=true
        n=1 c=4 h=112 w=112 kernel=3 stride=2 ceil_mode=true
        # Windows with more elements than 32 bits count.
        n=1 c=2 h=9 w=9 kernel=70000 stride=69000 padding=34999 ceil_mode=true
        # More workgroups than one dimension holds: 65,535 of them make 4,194,240 outputs of four channels.
        n=1 c=1 h=2050 w=2049 kernel=1
        n=2 c=3 h=8 w=9 kernel=3 stride=2 padding=1 values=zeros
        n=2 c=3 h=8 w=9 kernel=3 stride=2 padding=1 values=denormal
        n=2 c=3 h=8 w=9 kernel=3 stride=2 padding=1 scale=1e37
    ",
    );
    for c in 1..=9 {
        all.push(format!("n=1 c={c} h=7 w=6 kernel=3 stride=2 padding=1 offset=-3.0"));
        all.push(format!("n=3 c={c} h=5 w=8 kernel=2 stride=2 ceil_mode=true"));
    }
    for window in ["kernel=3 stride=2 padding=1", "kernel=2 stride=2 ceil_mode=true", "kernel=3 padding=1"] {
        for values in ["nan", "inf", "-inf", "lowest"] {
            all.push(format!("n=2 c=3 h=8 w=9 {window} values={values}"));
        }
    }
    all
}

fn forward_list(_: Suite) -> Vec<String> {
    let mut all = shared();
    // A loop of more than 65,535 iterations, its two levels counted together.
    all.push("n=1 c=1 h=260 w=260 kernel=260".into());
    all.extend(halves(&[
        "n=2 c=64 h=28 w=28 kernel=3 stride=2 padding=1",
        "n=1 c=3 h=9 w=7 kernel=2,3 stride=2 padding=1 ceil_mode=true",
        "n=1 c=5 h=6 w=6 kernel=3 values=special",
    ]));
    all
}

fn backward_list(_: Suite) -> Vec<String> {
    let mut all = shared();
    // Which of two numbers that may be taken for zero is larger has no one answer.
    all.retain(|line| !line.contains(" values=denormal"));
    for stride in 1..=4 {
        for kernel in 1..=4 {
            for padding in 0..=kernel / 2 {
                let (ceil, other) = (stride % 2 == 0, stride % 4 + 1);
                all.push(format!(
                    "n=2 c=3 h=10 w=13 kernel={kernel} stride={stride},{other} padding={padding} ceil_mode={ceil} offset=-3.0"
                ));
            }
        }
    }
    let windows = [
        "kernel=3 stride=2 padding=1",
        "kernel=2 stride=2 ceil_mode=true",
        "kernel=3 padding=1",
        "kernel=5 stride=3 padding=2 ceil_mode=true",
    ];
    for window in windows {
        // Few values, so that most windows have ties; all equal; and what a ReLU leaves.
        for values in [
            "values=coarse",
            "values=equal",
            "values=rectified",
            "grad_values=nan",
            "grad_values=inf",
            "grad_values=denormal",
        ] {
            all.push(format!("n=2 c=5 h=11 w=12 {window} {values}"));
        }
    }
    all.extend(halves(&[
        "n=2 c=64 h=14 w=14 kernel=3 stride=2 padding=1",
        "n=2 c=5 h=11 w=12 kernel=3 padding=1 values=coarse",
        "n=2 c=5 h=11 w=12 kernel=3 padding=1 grad_values=inf",
    ]));
    all
}

fn global_list(_: Suite) -> Vec<String> {
    let mut all = lines(
        "
        n=2 c=2048 h=7 w=7
        n=3 c=5 h=1 w=1
        # One and two parts of 64 pixels, and one pixel more.
        n=1 c=3 h=8 w=8
        n=1 c=3 h=5 w=13
        n=1 c=6 h=16 w=8
        n=1 c=2 h=300 w=301
        n=2 c=9 h=23 w=17
        n=2 c=5 h=7 w=7 offset=1000.0
        n=2 c=5 h=7 w=7 scale=1e35
        n=2 c=5 h=7 w=7 scale=1e-30
        n=2 c=5 h=7 w=7 values=zeros
        n=2 c=5 h=7 w=7 values=denormal
        n=2 c=5 h=7 w=7 values=nan
        n=2 c=5 h=7 w=7 values=-inf
    ",
    );
    all.extend((1..=9).map(|c| format!("n=2 c={c} h=3 w=5")));
    all.extend(halves(&["n=1 c=3 h=5 w=13", "n=1 c=6 h=16 w=8", "n=2 c=5 h=7 w=7 values=nan"]));
    all
}
