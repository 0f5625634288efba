//! The classifier and the loss.

use super::super::case::{Body, Case, Expected, Kernel, Operation, Slope, Suite};
use super::super::key::{Key, VALUES};
use super::super::report::Direction;
use super::gradients::{dot, expect_three, three};
use super::lines::lines;
use crate::ops::attributes::CrossEntropyAttributes;
use crate::ops::host::{self, Array};
use crate::ops::linear::LinearKernel;
use crate::reference::{self, Tensor};

pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "linear",
        direction: Direction::Forward,
        keys: &[&[Key::size("n"), Key::size("c"), Key::size("k"), Key::flag("bias"), Key::word(KERNEL, KERNELS)]],
        fill: true,
        list: |_| {
            let mut all: Vec<String> = SHAPES.iter().map(|[n, c, k]| format!("n={n} c={c} k={k} bias=true")).collect();
            all.push("n=5 c=7 k=6".into());
            for inputs in ["values=nan", "values=zeros", "values=denormal", "scale=1e30", "scale=1e-30"] {
                all.push(format!("n=5 c=7 k=6 bias=true {inputs}"));
            }
            all.iter().flat_map(|line| KERNELS.iter().map(move |kernel| format!("{line} {KERNEL}={kernel}"))).collect()
        },
        flops: |case| 2.0 * multiply_adds(case),
        body: Body::Kernel(Kernel {
            inputs: |case| {
                let [n, c, k] = case.sizes(["n", "c", "k"]);
                Ok(vec![case.filled("input", &[n, c], 0), case.array("weight", &[k, c]), case.array("bias", &[k])])
            },
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    let bias = case.flag("bias").then_some(&inputs[2]);
                    let strided = case.word(KERNEL) == KERNELS[1];
                    let kernel = if strided { LinearKernel::Strided } else { LinearKernel::Sliced };
                    Ok(vec![host::linear_by(gpu, kernel, &inputs[0], &inputs[1], bias).await?])
                })
            },
            twin: |case, inputs| {
                let bias = case.flag("bias").then_some(&inputs[2]);
                let output = reference::linear(&inputs[0], &inputs[1], bias);
                vec![Expected::sum("output", output, case.size("c") as f64 + 1.0)]
            },
            slope: None,
        }),
    },
    Operation {
        name: "linear_backward",
        direction: Direction::Backward,
        keys: &[&[Key::size("n"), Key::size("c"), Key::size("k"), Key::word("grad_values", VALUES)]],
        fill: true,
        list: |_| {
            let mut all: Vec<String> = SHAPES.iter().map(|[n, c, k]| format!("n={n} c={c} k={k}")).collect();
            all.push("n=9 c=130 k=11".into());
            for inputs in ["values=nan", "values=zeros", "scale=1e30", "grad_values=nan", "grad_values=denormal"] {
                all.push(format!("n=5 c=7 k=12 {inputs}"));
            }
            all
        },
        flops: |case| 4.0 * multiply_adds(case),
        body: Body::Kernel(Kernel {
            inputs: |case| {
                let [n, c, k] = case.sizes(["n", "c", "k"]);
                Ok(vec![
                    case.filled("input", &[n, c], 0),
                    case.array("weight", &[k, c]),
                    case.grad("grad_output", &[n, k], 1),
                    // Of the objective alone: no gradient depends on it.
                    case.array("bias", &[k]),
                ])
            },
            run: |gpu, _, inputs| {
                Box::pin(
                    async move { Ok(three(host::linear_backward(gpu, &inputs[0], &inputs[1], &inputs[2]).await?)) },
                )
            },
            twin: |case, inputs| {
                let [n, k] = case.sizes(["n", "k"]).map(|size| size as f64);
                expect_three(case, reference::linear_backward(&inputs[0], &inputs[1], &inputs[2]), [k, n, n])
            },
            slope: Some(Slope {
                objective: |_, inputs| dot(&reference::linear(&inputs[0], &inputs[1], Some(&inputs[3])), &inputs[2]),
                gradients: &[(0, 0), (1, 1), (2, 3)],
            }),
        }),
    },
    Operation {
        name: "cross_entropy",
        direction: Direction::Backward,
        keys: &[&[
            Key::size("n"),
            Key::size("classes"),
            Key::number("label_smoothing", 0.0),
            Key::word("ignored", &["none", "third", "all"]),
        ]],
        fill: true,
        list: losses,
        flops: |case| 8.0 * (case.size("n") * case.size("classes")) as f64,
        body: Body::Kernel(Kernel {
            inputs: |case| Ok(vec![case.filled("input", &case.sizes(["n", "classes"]), 0)]),
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    let (loss, grad) = host::cross_entropy(gpu, &inputs[0], &targets(case), &attributes(case)).await?;
                    Ok(vec![Array { shape: vec![1], data: vec![loss] }, grad])
                })
            },
            twin: |case, inputs| {
                let found = reference::cross_entropy(&inputs[0], &targets(case), &attributes(case));
                // Vulkan's exp may be off by 3 + 2 |x| units in the last place; exponents past -20 don't count. Its log
                // may be off by 2^-21, eight units of a loss of 1.
                let reach = (4.0 * case.number("scale")).min(20.0);
                let exponent = (3.0 + 2.0 * reach).powi(2);
                let logarithm = (8.0 / found.loss).powi(2).min(1e12);
                let terms = exponent + case.size("classes") as f64 + case.size("n") as f64;
                let loss = Tensor::new(&[1], vec![found.loss]);
                let loss_terms = if found.loss.is_finite() { terms + logarithm } else { terms };
                vec![Expected::sum("loss", loss, loss_terms), Expected::sum("grad_input", found.grad_input, terms)]
            },
            slope: Some(Slope {
                objective: |case, inputs| reference::cross_entropy(&inputs[0], &targets(case), &attributes(case)).loss,
                gradients: &[(1, 0)],
            }),
        }),
    },
];

/// How the forward pass of `linear` adds: in slices of the features, as software drivers do, or across a workgroup.
const KERNEL: &str = "kernel";
const KERNELS: &[&str] = &["sliced", "strided"];

/// Rows, input and output features: ResNet's heads, and every remainder of the tiles of four.
const SHAPES: [[usize; 3]; 14] = [
    [1, 2048, 1000],
    [32, 2048, 10],
    [7, 512, 102],
    [1, 1, 1],
    [2, 3, 5],
    [3, 5, 2],
    [4, 4, 4],
    [5, 7, 9],
    [6, 9, 3],
    [8, 6, 7],
    [9, 8, 6],
    [33, 65, 1],
    [1, 1, 129],
    [2, 2, 8],
];

fn multiply_adds(case: &Case) -> f64 {
    case.sizes(["n", "c", "k"]).iter().map(|&extent| extent as f64).product()
}

fn attributes(case: &Case) -> CrossEntropyAttributes {
    CrossEntropyAttributes { label_smoothing: case.number("label_smoothing"), ..Default::default() }
}

fn targets(case: &Case) -> Vec<i64> {
    let [rows, classes] = case.sizes(["n", "classes"]);
    let ignored = CrossEntropyAttributes::default().ignore_index;
    let mut targets = case.classes("target", rows, classes);
    match case.word("ignored") {
        "third" => targets.iter_mut().step_by(3).for_each(|class| *class = ignored),
        "all" => targets.fill(ignored),
        _ => {}
    }
    targets
}

fn losses(_: Suite) -> Vec<String> {
    let mut all = Vec::new();
    for (rows, classes) in [(32, 10), (8, 1000), (1, 2), (3, 3), (65, 5), (130, 9), (2, 257)] {
        for smoothing in [0.0, 0.1, 1.0] {
            all.push(format!("n={rows} classes={classes} label_smoothing={smoothing:?}"));
        }
    }
    for inputs in ["values=equal", "scale=30.0", "offset=1000.0", "offset=-1000.0", "scale=1e4", "scale=1e-3"] {
        for smoothing in [0.0, 0.2] {
            all.push(format!("n=9 classes=10 label_smoothing={smoothing:?} {inputs}"));
        }
    }
    all.extend(lines(
        "
        n=1 classes=1
        n=70 classes=5 ignored=third
        n=70 classes=5 ignored=third label_smoothing=0.3
        # The mean of nothing is NaN, as in PyTorch.
        n=70 classes=5 ignored=all
        n=70 classes=7 values=nan
        n=70 classes=7 values=nan label_smoothing=0.1
        n=70 classes=7 values=inf
    ",
    ));
    all
}
