//! Batch normalisation, forward and backward, with the residual and ReLU that are fused to its end.

use super::super::case::{Body, Case, Expected, Kernel, Operation, Slope, Suite};
use super::super::key::{Key, PRECISION, VALUES};
use super::super::report::Direction;
use super::gradients::{dot, expect_three, three};
use super::lines::{halves, lines};
use crate::ops::attributes::BatchNormAttributes;
use crate::ops::host::{self, Array, MapEpilogue};
use crate::reference::{self, Tensor};

const KEYS: [Key; 9] = [
    Key::size("n"),
    Key::size("c"),
    Key::size("h"),
    Key::size("w"),
    Key::flag("training"),
    Key::number("eps", 1e-5),
    Key::number("momentum", 0.1),
    Key::flag("residual"),
    Key::flag("relu"),
];
const FORWARD: &[Key] = &[KEYS[0], KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], PRECISION];
const WITH_GRAD: [Key; 12] = [
    KEYS[0],
    KEYS[1],
    KEYS[2],
    KEYS[3],
    KEYS[4],
    KEYS[5],
    KEYS[6],
    KEYS[7],
    KEYS[8],
    Key::word("grad_values", VALUES),
    Key::number("grad_scale", 1.0),
    PRECISION,
];

pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "batch_norm",
        direction: Direction::Forward,
        keys: &[FORWARD],
        fill: true,
        list: forward_list,
        flops: |case| 4.0 * values(case),
        body: Body::Kernel(Kernel {
            inputs: |case| Ok(inputs(case).into()),
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    let [input, weight, bias, mean, variance, residual] = inputs else { unreachable!("six inputs") };
                    let parameters = [weight, bias, mean, variance];
                    let end = epilogue(case, residual);
                    let found =
                        host::batch_norm_fused((gpu, case.precision()), input, parameters, end, &attributes(case))
                            .await?;
                    Ok([found.output].into_iter().chain(found.running.into_iter().flatten()).collect())
                })
            },
            twin: |case, inputs| {
                let [input, weight, bias, mean, variance, residual] = inputs else { unreachable!("six inputs") };
                let found = reference::batch_norm(input, weight, bias, mean, variance, &attributes(case));
                let terms = terms(case);
                let mut expected = vec![Expected::stored(case, "output", ended(case, found.output, residual), terms)];
                if case.flag("training") {
                    expected.push(Expected::sum("running_mean", found.running_mean, terms));
                    expected.push(Expected::sum("running_var", found.running_var, terms));
                }
                expected
            },
            slope: None,
        }),
    },
    Operation {
        name: "batch_norm_backward",
        direction: Direction::Backward,
        keys: &[&WITH_GRAD],
        fill: true,
        list: backward_list,
        flops: |case| 8.0 * values(case),
        body: Body::Kernel(Kernel {
            inputs: |case| {
                let mut grad = case.grad("grad_output", &shape(case), 1);
                let scale = case.number("grad_scale") as f32;
                grad.data.iter_mut().for_each(|value| *value *= scale);
                if case.word("grad_values") == "uniform" {
                    // Its mean isn't zero, so that the batch's mean matters.
                    grad.data.iter_mut().for_each(|value| *value += 0.5);
                }
                Ok(inputs(case).into_iter().chain([grad]).collect())
            },
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    let [input, weight, bias, mean, variance, residual, grad] = inputs else {
                        unreachable!("seven inputs")
                    };
                    let (parameters, end) = ([weight, bias, mean, variance], epilogue(case, residual));
                    let on = (gpu, case.precision());
                    Ok(three(
                        host::batch_norm_fused_backward(on, input, parameters, end, grad, &attributes(case)).await?,
                    ))
                })
            },
            twin: |case, inputs| {
                let [input, weight, _, mean, variance, _, grad] = inputs else { unreachable!("seven inputs") };
                let mut grad = grad.clone();
                if case.flag("relu") {
                    grad = reference::relu_backward(&before_relu(case, inputs), &grad);
                }
                let expected = reference::batch_norm_backward(input, weight, mean, variance, &grad, &attributes(case));
                expect_three(case, expected, [4.0 * terms(case), 8.0 * terms(case), terms(case)])
            },
            slope: Some(Slope {
                objective: |case, inputs| {
                    let output = before_relu(case, inputs);
                    let output = if case.flag("relu") { reference::relu(&output) } else { output };
                    dot(&output, &inputs[6])
                },
                gradients: &[(0, 0), (1, 1), (2, 2)],
            }),
        }),
    },
];

fn shape(case: &Case) -> [usize; 4] {
    case.sizes(["n", "c", "h", "w"])
}

fn values(case: &Case) -> f64 {
    shape(case).iter().map(|&extent| extent as f64).product()
}

fn attributes(case: &Case) -> BatchNormAttributes {
    let (eps, momentum) = (case.number("eps"), case.number("momentum"));
    BatchNormAttributes { eps, momentum, training: case.flag("training") }
}

/// Input, weight, bias, running mean, running variance and residual.
fn inputs(case: &Case) -> [Array; 6] {
    let channels = &shape(case)[1..2];
    [
        case.filled("input", &shape(case), 0),
        case.array("weight", channels),
        case.array("bias", channels),
        case.array("running_mean", channels),
        case.array_with("running_var", channels, |value| value + 2.25),
        case.array("residual", &shape(case)),
    ]
}

fn epilogue<'a>(case: &Case, residual: &'a Array) -> MapEpilogue<'a> {
    MapEpilogue { residual: case.flag("residual").then_some(residual), relu: case.flag("relu") }
}

fn ended(case: &Case, output: Tensor, residual: &Tensor) -> Tensor {
    let sum = if case.flag("residual") { output.zip(residual, |a, b| a + b) } else { output };
    if case.flag("relu") { reference::relu(&sum) } else { sum }
}

/// The forward twin's output with the residual, as the ReLU reads it.
fn before_relu(case: &Case, inputs: &[Tensor]) -> Tensor {
    let [input, weight, bias, mean, variance, residual, _] = inputs else { unreachable!("seven inputs") };
    let output = reference::batch_norm(input, weight, bias, mean, variance, &attributes(case)).output;
    if case.flag("residual") { output.zip(residual, |a, b| a + b) } else { output }
}

/// Sums go over chunks of 128 pixels and then over the chunks; division and square root take more roundings. A mean far
/// from zero is itself rounded, which counts by its distance in deviations.
fn terms(case: &Case) -> f64 {
    let [n, _, h, w] = shape(case);
    let pixels = (n * h * w) as f64;
    let sums = 32.0 + pixels.min(128.0) + pixels / 128.0;
    if !case.flag("training") {
        return sums;
    }
    let (scale, offset) = (case.number("scale"), case.number("offset"));
    // The variance of a uniform distribution over [-2, 2).
    sums * (1.0 + offset * offset / (scale * scale * 4.0 / 3.0 + case.number("eps")))
}

fn shapes() -> Vec<String> {
    lines(
        "
        n=2 c=64 h=14 w=14
        n=1 c=256 h=7 w=7
        n=7 c=3 h=1 w=1
        n=5 c=4 h=3 w=1
        n=2 c=5 h=2 w=6
        # One and two chunks of 128 pixels, one pixel more, and many.
        n=1 c=2 h=8 w=16
        n=1 c=2 h=3 w=43
        n=2 c=6 h=8 w=16
        n=3 c=3 h=60 w=61
    ",
    )
}

fn full(suite: Suite) -> Vec<String> {
    if suite != Suite::Full {
        return Vec::new();
    }
    let all = [[64, 112], [64, 56], [256, 56], [128, 28], [512, 28], [256, 14], [1024, 14], [512, 7], [2048, 7]];
    all.iter().map(|[c, side]| format!("n=8 c={c} h={side} w={side}")).collect()
}

fn forward_list(suite: Suite) -> Vec<String> {
    let mut all = Vec::new();
    for shape in shapes().into_iter().chain(full(suite)) {
        all.push(shape.clone());
        all.push(format!("{shape} training=true"));
    }
    for end in ["residual=true", "relu=true", "residual=true relu=true"] {
        for shape in ["n=2 c=5 h=7 w=9", "n=3 c=8 h=13 w=11"] {
            all.push(format!("{shape} {end}"));
            all.push(format!("{shape} {end} training=true"));
        }
    }
    all.extend(halves(&[
        "n=2 c=64 h=14 w=14",
        "n=2 c=5 h=7 w=9 residual=true relu=true",
        "n=3 c=6 h=5 w=7 training=true",
        "n=1 c=3 h=9 w=9 values=nan",
    ]));
    for c in 1..=9 {
        all.push(format!("n=3 c={c} h=5 w=7 training=true offset=-1.0"));
        all.push(format!("n=1 c={c} h=1 w=1 offset=-1.0"));
    }
    all.extend(lines(
        "
        n=2 c=5 h=6 w=7 training=true eps=0.1 momentum=0.7
        n=2 c=5 h=6 w=7 training=true momentum=0.0
        n=2 c=5 h=6 w=7 training=true momentum=1.0
        # A mean of 100 spreads: the variance around the mean keeps its digits.
        n=2 c=5 h=6 w=7 training=true offset=100.0
        n=2 c=5 h=6 w=7 training=true scale=1e-3
        n=2 c=5 h=6 w=7 training=true scale=1e15
        n=2 c=5 h=6 w=7 training=true scale=0.0 offset=3.0
        n=2 c=5 h=6 w=7 scale=1e15
        n=2 c=5 h=6 w=7 training=true values=zeros
        n=2 c=5 h=6 w=7 training=true values=denormal
        n=2 c=5 h=6 w=7 values=denormal
        # NaN stays in its channel.
        n=2 c=5 h=3 w=3 training=true values=nan
        n=2 c=5 h=3 w=3 values=nan
    ",
    ));
    all
}

fn backward_list(suite: Suite) -> Vec<String> {
    let mut all = Vec::new();
    for shape in shapes().into_iter().chain(full(suite)) {
        for end in ["", "relu=true", "residual=true relu=true"] {
            all.push(format!("{shape} {end}"));
            all.push(format!("{shape} {end} training=true"));
        }
    }
    for c in 1..=9 {
        let relu = c % 2 == 0;
        all.push(format!("n=3 c={c} h=5 w=7 training=true relu={relu} offset=-1.0"));
        // Two values a channel would leave nothing of the gradient in training but rounding errors.
        all.push(format!("n=2 c={c} h=1 w=1 offset=-1.0"));
        all.push(format!("n=1 c={c} h=1 w=1 relu=true offset=-1.0"));
    }
    all.extend(lines(
        "
        n=2 c=5 h=6 w=7 training=true eps=0.1 momentum=0.7
        n=2 c=5 h=6 w=7 eps=0.1 momentum=1.0
        # A mean of 30 spreads: it is kept in f32, so that every normalised value is off by its rounding.
        n=2 c=5 h=6 w=7 training=true offset=30.0
        n=2 c=5 h=6 w=7 training=true scale=1e-3
        n=2 c=5 h=6 w=7 training=true scale=1e15
        n=2 c=5 h=6 w=7 scale=1e15
        n=2 c=5 h=6 w=7 scale=0.0 offset=3.0
        # NaN stays in its channel.
        n=2 c=5 h=3 w=3 training=true values=nan
        n=2 c=5 h=3 w=3 values=nan
        n=2 c=5 h=3 w=3 training=true relu=true values=nan
        n=2 c=5 h=3 w=3 relu=true values=nan
        n=2 c=5 h=3 w=3 training=true grad_values=nan
        n=2 c=5 h=3 w=3 grad_values=nan
    ",
    ));
    all.extend(halves(&[
        "n=2 c=64 h=14 w=14 training=true",
        "n=2 c=5 h=7 w=9 residual=true relu=true training=true",
        "n=2 c=6 h=8 w=16 relu=true",
        "n=2 c=5 h=3 w=3 training=true grad_values=nan",
        // Beyond f16.
        "n=2 c=5 h=7 w=9 grad_scale=32000.0",
    ]));
    all
}
