//! `conv2d_backward`: the gradients by input, weight and bias, by every kernel; and `pack_weight`, the order that the
//! kernels read weights in.

use std::borrow::Cow;

use super::super::case::{Body, Case, Expected, Kernel, Operation, Slope, Suite};
use super::super::key::{Key, PARTS, PRECISION, SPACE_TO_DEPTH, TILES, VALUES, VARIANT, WINOGRAD};
use super::super::report::Direction;
use super::conv2d::{
    FORWARD_VARIANTS, GEOMETRY, Geometry, MATRICES, VARIANTS, by_tile, by_variant, eights, in_parts, many_workgroups,
    resnet50, roundings, split_lines, tile_edges, winograd,
};
use super::gradients::{dot, expect_three, three};
use super::lines::{halves, lines};
use crate::ops::attributes::{Conv2dAttributes, MAX_EXTENT};
use crate::ops::host::{self, Array};
use crate::ops::{Conv2d, Conv2dAlgorithm, Conv2dPass, Conv2dVariant, Precision, WeightLayout};
use crate::reference::{self, Tensor};

pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "conv2d_backward",
        direction: Direction::Backward,
        keys: &[
            GEOMETRY,
            &[
                Key::flag("residual"),
                Key::flag("relu"),
                Key::number("weight_scale", 1.0),
                Key::number("grad_scale", 1.0),
                Key::word("grad_values", VALUES),
                Key::word(WINOGRAD, TILES),
                PARTS,
                PRECISION,
                Key::name(VARIANT, VARIANTS),
            ],
        ],
        fill: true,
        list: |suite| {
            let mut all = by_variant(suite, backward(suite));
            all.extend(by_variant(suite, by_tile(winograd(suite).into_iter().map(unbiased).collect())));
            all.extend(tile_edges(|pixels, channels| {
                format!("n=1 c={channels} h=1 w={pixels} k=20 kernel=1,3 padding=0,1 residual=true")
            }));
            // By blocks of pixels, with whole tiles of them and a rest.
            all.extend(tile_edges(|pixels, _| format!("n=1 c=3 h=3 w={} k=20 kernel=3 padding=1", 4 * pixels)));
            all.extend(many_workgroups(suite));
            // So many slices of pixels that they are added in two steps.
            all.push("n=2 c=4 h=50 w=50 k=5 kernel=3 padding=1 variant=gemm".into());
            all.extend(in_parts(split_lines("residual=true relu=true")));
            all.extend(by_variant(suite, half(suite)));
            // Blocks of pixels of f16, by every kernel.
            let blocks = halves(&["n=1 c=3 h=9 w=9 k=5 kernel=3 padding=1 residual=true"]);
            all.extend(by_variant(Suite::Full, blocks));
            all
        },
        flops: |case| 4.0 * Geometry::of(case).multiply_adds(),
        body: Body::Kernel(Kernel {
            inputs: |case| {
                let g = Geometry::of(case);
                let scale = case.number("grad_scale") as f32;
                let mut grad = case.grad("grad_output", &g.outputs()?, 1);
                grad.data.iter_mut().for_each(|value| *value *= scale);
                Ok(vec![
                    // With `relu` what comes before it.
                    case.filled("input", &g.input, 0),
                    g.weight(case),
                    grad,
                    case.array("residual", &g.input),
                    // Of the objective alone: no gradient depends on it.
                    case.array("bias", &g.weight[..1]),
                ])
            },
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    let [input, weight, grad, residual, _] = inputs else { unreachable!("five inputs") };
                    let (residual, relu) = (case.flag("residual").then_some(residual), case.flag("relu"));
                    let mut input = input.clone();
                    if relu {
                        input.data.iter_mut().filter(|value| **value <= 0.0).for_each(|value| *value = 0.0);
                    }
                    let (algorithm, attributes, end) =
                        (case.algorithm(), Geometry::of(case).attributes, (residual, relu));
                    let on = (gpu, case.precision());
                    Ok(three(
                        host::conv2d_backward_fused(on, algorithm, [&input, weight], grad, end, &attributes).await?,
                    ))
                })
            },
            twin: |case, inputs| {
                let [input, weight, grad, residual, _] = inputs else { unreachable!("five inputs") };
                let g = Geometry::of(case);
                let mut expected = reference::conv2d_backward(&before(case, input), weight, grad, &g.attributes);
                if case.flag("residual") {
                    expected.grad_input = expected.grad_input.zip(residual, |a, b| a + b);
                }
                if case.flag("relu") {
                    expected.grad_input = reference::relu_backward(input, &expected.grad_input);
                }
                let pixels = (grad.data.len() / g.weight[0]) as f64;
                let outputs = g.weight[0] / g.attributes.groups * g.weight[2] * g.weight[3];
                let outputs = roundings(case, outputs as f64) + 1.0;
                expect_three(case, expected, [outputs, roundings(case, pixels), pixels])
            },
            slope: Some(Slope { objective, gradients: &[(0, 0), (1, 1), (2, 4)] }),
        }),
    },
    Operation {
        name: "pack_weight",
        direction: Direction::Forward,
        keys: &[&[
            Key::size("c"),
            Key::size("k"),
            Key::extent("kernel"),
            Key::count("groups", 1),
            Key::flag("transposed"),
            Key::word(WINOGRAD, TILES),
            Key::pair("stride", 1),
            SPACE_TO_DEPTH,
            PRECISION,
            Key::name("layout", FORWARD_VARIANTS),
        ]],
        fill: false,
        list: |_| packings(),
        flops: |_| 0.0,
        body: Body::Kernel(Kernel {
            inputs: |case| Ok(vec![case.array("weight", &layer(case).weight_shape())]),
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    let transposed = case.flag("transposed");
                    let data =
                        host::pack_weight((gpu, case.precision()), &layer(case), reader(case), transposed, &inputs[0])
                            .await?;
                    Ok(vec![Array { shape: vec![data.len()], data }])
                })
            },
            twin: |case, inputs| {
                let (layer, reader, weight) = (layer(case), reader(case), inputs[0].to_f32());
                let pass = if case.flag("transposed") { Conv2dPass::ByInput } else { Conv2dPass::Forward };
                // `run` has packed it, so that there is a layout. Values are rounded where they are compared.
                let layout = WeightLayout::new(&layer, pass, reader, Precision::F32);
                let packed = layout.map(|layout| layout.pack(&weight)).unwrap_or_default();
                let packed = Tensor::from_f32(&[packed.len()], &packed);
                match reader {
                    Conv2dAlgorithm::Winograd(..) => vec![Expected::sum("packed", packed, 9.0)],
                    _ => vec![Expected::exact("packed", packed)],
                }
            },
            slope: None,
        }),
    },
];

/// What the convolution reads of the case's input.
fn before<'a>(case: &Case, input: &'a Tensor) -> Cow<'a, Tensor> {
    if case.flag("relu") { Cow::Owned(reference::relu(input)) } else { Cow::Borrowed(input) }
}

/// The forward twin's outputs weighted by the gradient from above; and what comes by another way, where it is added.
fn objective(case: &Case, inputs: &[Tensor]) -> f64 {
    let [input, weight, grad, residual, bias] = inputs else { unreachable!("five inputs") };
    let input = before(case, input);
    let output = reference::conv2d(&input, weight, Some(bias), &Geometry::of(case).attributes);
    dot(&output, grad) + if case.flag("residual") { dot(&input, residual) } else { 0.0 }
}

fn layer(case: &Case) -> Conv2d {
    let [in_channels, out_channels, groups] = case.sizes(["c", "k", "groups"]);
    let attributes = Conv2dAttributes { groups, stride: case.pair("stride"), ..Default::default() };
    Conv2d { attributes, in_channels, out_channels, kernel: case.pair("kernel") }
}

/// The algorithm whose layout it is; any adapter packs for each.
fn reader(case: &Case) -> Conv2dAlgorithm {
    let named = Conv2dVariant::named(case.word("layout"));
    case.algorithm_of(named.unwrap_or(Conv2dVariant::Register))
}

fn backward(suite: Suite) -> Vec<String> {
    let mut all = lines(RESNET);
    all.extend(lines(CORNERS));
    all.extend(eights().into_iter().map(unbiased));
    all.push(format!("n=1 c=3 h=5 w=4 k=4 kernel=1 stride={}", MAX_EXTENT / 2));
    for c in 1..=9 {
        all.push(format!("n=1 c={c} h=5 w=7 k={} kernel=3 padding=1 residual=true", 10 - c));
        all.push(format!("n=2 c={c} h=11 w=6 k={c} kernel=1 stride=2"));
        all.push(format!("n=3 c={c} h=9 w=13 k=3 kernel=2,4 stride=3 padding=2"));
    }
    // Strides with kernels below and above them, with dilation: in some phases of the stride no tap meets a pixel.
    for stride in 1..=4 {
        for kernel in 1..=5 {
            for dilation in 1..=3 {
                let padding = [[0, 1, 3], [1, 3, 0], [3, 0, 1]][kernel % 3][dilation - 1];
                // Only the full suite has each dilation of each pair of stride and kernel.
                if suite != Suite::Full && (stride + kernel) % 3 + 1 != dilation {
                    continue;
                }
                all.push(format!(
                    "n=1 c=3 h=13 w=15 k=2 kernel={kernel},{} stride={stride},{} padding={padding},{} dilation={dilation},{}",
                    kernel % 5 + 1,
                    stride % 4 + 1,
                    (padding + stride) % 4,
                    dilation % 3 + 1
                ));
            }
        }
    }
    // Tiles are 8, 32 or 64 pixels or channels, and 4 or 8 columns (four channels of a tap): one more and one less of each.
    for [h, w] in [[1, 8], [3, 3], [4, 8], [3, 11], [8, 8], [5, 13], [7, 9]] {
        all.push(format!("n=1 c=4 h={h} w={w} k=4 kernel=1"));
    }
    for channels in [7, 8, 9, 31, 32, 33, 63, 64, 65, 129] {
        all.push(format!("n=1 c=5 h=3 w=3 k={channels} kernel=1"));
        all.push(format!("n=1 c={channels} h=6 w=6 k=8 kernel=3 stride=2 padding=1"));
    }
    // Slices of the reduction are 256 pixels.
    for shape in
        ["n=1 c=3 h=16 w=16", "n=1 c=3 h=1 w=257", "n=2 c=5 h=16 w=16", "n=3 c=4 h=13 w=11", "n=1 c=2 h=70 w=70"]
    {
        all.push(format!("{shape} k=6 kernel=1"));
        all.push(format!("{shape} k=3 kernel=3 padding=1"));
    }
    for c in 1..=5 {
        all.push(format!("n=2 c={} h=7 w=5 k={} kernel=3 stride=2 padding=1 groups=2", 2 * c, 12 - 2 * c));
        all.push(format!("n=1 c={} h=5 w=6 k=3 kernel=1 groups=3 residual=true", 3 * c));
    }
    all.extend(resnet50(true).into_iter().map(plain));
    all.extend(lines(RELUS));
    if suite == Suite::Full {
        all.extend(resnet50(false).into_iter().map(plain));
        all.push("n=1 c=33 h=1024 w=1024 k=4 kernel=1".into());
    }
    all
}

const RESNET: &str = "
    n=1 c=3 h=64 w=64 k=64 kernel=7 stride=2 padding=3
    n=1 c=64 h=28 w=28 k=64 kernel=3 padding=1 residual=true
    n=2 c=64 h=15 w=15 k=128 kernel=3 stride=2 padding=1
    n=1 c=128 h=14 w=14 k=256 kernel=1 stride=2 residual=true
    n=3 c=512 h=7 w=7 k=128 kernel=1
    n=1 c=16 h=32 w=32 k=16 kernel=3 padding=1
    n=1 c=128 h=14 w=14 k=128 kernel=3 padding=1 groups=32
";

const CORNERS: &str = "
    n=2 c=5 h=12 w=17 k=6 kernel=3,2 stride=2,1 padding=0,3 dilation=1,5
    n=1 c=3 h=11 w=13 k=7 kernel=3 stride=6 padding=4 dilation=4,2
    n=1 c=5 h=8 w=8 k=6 kernel=3 stride=4 padding=1 residual=true
    # One pixel, all of it padding but one tap.
    n=1 c=2 h=1 w=1 k=3 kernel=3 padding=1
    # Padding beyond the kernel: outputs that no input reaches.
    n=1 c=3 h=4 w=4 k=5 kernel=1 padding=2
    n=1 c=3 h=2 w=3 k=5 kernel=3 stride=4 padding=9
    # Strides past the input, up to where no phase could be counted.
    n=1 c=3 h=8 w=8 k=4 kernel=3 stride=50 padding=1
    n=2 c=3 h=5 w=4 k=4 kernel=3 stride=100000 padding=1
    # Rows and pixels at the end that no window covers.
    n=1 c=3 h=10 w=12 k=4 kernel=2 stride=5
    # Kernels of one row and one column, and one that covers the whole input.
    n=1 c=4 h=6 w=15 k=4 kernel=1,11
    n=1 c=4 h=15 w=6 k=4 kernel=11,1 padding=3
    n=1 c=6 h=9 w=9 k=8 kernel=9
    # Depthwise, with and without a multiplier.
    n=1 c=5 h=8 w=8 k=5 kernel=3 padding=1 groups=5
    n=1 c=3 h=9 w=8 k=12 kernel=3 stride=2 padding=1 groups=3
    n=1 c=36 h=5 w=5 k=140 kernel=1 groups=2
    # The same over an even number of pixels, in two slices; and with a second slice of one pixel.
    n=2 c=36 h=9 w=15 k=140 kernel=1 groups=2
    n=1 c=6 h=1 w=257 k=70 kernel=1 groups=2
    n=2 c=6 h=27 w=19 k=70 kernel=3 padding=1 groups=2
    # Groups whose pixels have a line between them.
    n=2 c=256 h=3 w=5 k=512 kernel=1 groups=2
    # Magnitudes.
    n=1 c=5 h=7 w=7 k=6 kernel=3 stride=2 padding=1 values=zeros
    n=1 c=5 h=7 w=7 k=6 kernel=3 stride=2 padding=1 values=denormal
    n=1 c=5 h=7 w=7 k=6 kernel=3 stride=2 padding=1 weight_scale=1e18 grad_scale=1e18 scale=1e18
    n=1 c=5 h=7 w=7 k=6 kernel=3 stride=2 padding=1 weight_scale=1e-15 grad_scale=1e-15 scale=1e-15
    n=1 c=5 h=7 w=7 k=6 kernel=3 stride=2 padding=1 weight_scale=1e-30 grad_scale=1e30 scale=1e-30
    n=1 c=5 h=7 w=7 k=6 kernel=3 stride=2 padding=1 weight_scale=1e30 grad_scale=1e-30 scale=1e30
    # NaN and infinity stay where they belong.
    n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 values=nan
    n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 values=inf
    n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 grad_values=nan
    n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 grad_values=-inf
";

/// Through the ReLU that made the input: in every phase of a stride, at the borders of tiles and groups, in blocks of pixels.
const RELUS: &str = "
    n=2 c=64 h=7 w=7 k=32 kernel=1 relu=true residual=true
    n=1 c=33 h=9 w=8 k=12 kernel=3 stride=2 padding=1 relu=true
    n=1 c=9 h=11 w=6 k=5 kernel=2,4 stride=3 padding=2 relu=true
    n=2 c=6 h=7 w=5 k=10 kernel=3 padding=1 groups=2 relu=true residual=true
    n=2 c=256 h=3 w=5 k=64 kernel=1 relu=true
    n=1 c=3 h=12 w=15 k=8 kernel=3 stride=2 padding=1 relu=true residual=true
    n=2 c=5 h=9 w=9 k=5 kernel=3 padding=1 relu=true values=nan
    n=2 c=5 h=9 w=9 k=5 kernel=3 padding=1 relu=true grad_values=nan
";

/// Maps stored as f16: every loop and epilogue once, blocks of pixels, Winograd's transforms, and gradients beyond f16.
fn half(suite: Suite) -> Vec<String> {
    let mut all = halves(HALVES);
    for tile in [2, 4] {
        let lines = ["n=2 c=24 h=7 w=7 k=40 residual=true relu=true", "n=1 c=5 h=6 w=9 k=6 grad_scale=16000.0"];
        all.extend(lines.map(|line| format!("{line} kernel=3 padding=1 winograd={tile} precision=f16")));
    }
    if suite == Suite::Full {
        all.extend(resnet50(false).into_iter().map(|line| format!("{} precision=f16", plain(line))));
    }
    all
}

const HALVES: &[&str] = &[
    "n=1 c=3 h=64 w=64 k=64 kernel=7 stride=2 padding=3 residual=true",
    "n=2 c=64 h=15 w=15 k=72 kernel=3 stride=2 padding=1 residual=true relu=true",
    // Pixels that fill pairs and fours, and an odd number of them.
    "n=4 c=64 h=7 w=7 k=40 kernel=1",
    "n=3 c=33 h=7 w=7 k=129 kernel=1 relu=true",
    "n=1 c=128 h=14 w=14 k=128 kernel=3 padding=1 groups=32",
    "n=2 c=5 h=12 w=17 k=6 kernel=3,2 stride=2,1 padding=0,3 dilation=1,5",
    "n=2 c=6 h=7 w=5 k=10 kernel=3 padding=1 groups=2 relu=true residual=true",
    "n=2 c=30 h=7 w=5 k=16 kernel=3 padding=1 groups=2 residual=true relu=true",
    "n=1 c=13 h=9 w=9 k=8 kernel=3 padding=1 grad_scale=16000.0",
    "n=1 c=3 h=9 w=9 k=5 kernel=3 padding=1 grad_scale=16000.0",
    "n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 grad_values=nan",
    "n=2 c=5 h=9 w=9 k=13 kernel=3 padding=1 relu=true grad_values=nan",
];

/// A forward case's line without what the gradients know nothing of.
fn unbiased(line: String) -> String {
    line.replace(" bias=true", "")
}

/// The same without a ReLU.
fn plain(line: String) -> String {
    unbiased(line).replace(" relu=true", "")
}

fn packings() -> Vec<String> {
    let mut all = lines(
        "
        c=3 k=64 kernel=7
        c=64 k=64 kernel=3
        c=128 k=65 kernel=1
        c=33 k=129 kernel=1,2
        c=128 k=128 kernel=3 groups=32
        c=5 k=5 kernel=3 groups=5
        c=3 k=12 kernel=2,3 groups=3
        c=70 k=66 kernel=1 groups=2
        ",
    );
    all.extend((1..=9).map(|c| format!("c={c} k={} kernel=2,3", 10 - c)));
    all.extend((1..=5).map(|c| format!("c={} k={} kernel=1,3 groups=3", 3 * c, 18 - 3 * c)));
    all.extend(by_tile((1..=9).map(|c| format!("c={c} k={} kernel=3", 37 - 4 * c)).collect()));
    let stems = lines("c=3 k=64 kernel=7 stride=2\nc=1 k=9 kernel=4,3 stride=3,2\nc=4 k=5 kernel=3 stride=1,2");
    all.extend(stems.iter().map(|line| format!("{line} space_to_depth=true")));
    all.extend(halves(&["c=33 k=129 kernel=1,2", "c=3 k=12 kernel=2,3 groups=3", "c=3 k=64 kernel=7"]));
    let all: Vec<String> = all.iter().flat_map(|line| [line.clone(), format!("{line} transposed=true")]).collect();
    // Nothing goes around cooperative matrices.
    let fits = |line: &str, layout: &str| {
        !(MATRICES.contains(&layout) && (line.contains("winograd") || line.contains("space_to_depth")))
    };
    let with = |line: &String| {
        let layouts = FORWARD_VARIANTS.iter().filter(|layout| fits(line, layout));
        layouts.map(|layout| format!("{line} layout={layout}")).collect::<Vec<_>>()
    };
    all.iter().flat_map(with).collect()
}
