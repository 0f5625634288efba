//! `conv2d`, with all of its fused epilogue, by every kernel.

use super::super::case::{Body, Case, Expected, Kernel, Operation, Suite};
use super::super::key::{Key, PARTS, PRECISION, SPACE_TO_DEPTH, TILES, VARIANT, WINOGRAD};
use super::super::report::Direction;
use super::lines::{halves, lines};
use crate::error::Result;
use crate::ops::Conv2dVariant;
use crate::ops::attributes::Conv2dAttributes;
use crate::ops::conv2d_kernels::NAMES;
use crate::ops::conv2d_variant::fills_eights;
use crate::ops::host;
use crate::reference;

/// Keys of a convolution's shape.
pub(super) const GEOMETRY: &[Key] = &[
    Key::size("n"),
    Key::size("c"),
    Key::size("h"),
    Key::size("w"),
    Key::size("k"),
    Key::extent("kernel"),
    Key::pair("stride", 1),
    Key::pair("padding", 0),
    Key::pair("dilation", 1),
    Key::count("groups", 1),
];

pub const OPERATIONS: &[Operation] = &[Operation {
    name: "conv2d",
    direction: Direction::Forward,
    keys: &[
        GEOMETRY,
        &[
            Key::flag("bias"),
            Key::flag("residual"),
            Key::flag("relu"),
            Key::number("weight_scale", 1.0),
            Key::word(WINOGRAD, TILES),
            SPACE_TO_DEPTH,
            PARTS,
            PRECISION,
            Key::name(VARIANT, FORWARD_VARIANTS),
        ],
    ],
    fill: true,
    list: |suite| {
        let mut all = by_variant(suite, forward(suite));
        all.extend(by_variant(suite, by_tile(winograd(suite))));
        all.extend(tile_edges(|pixels, channels| {
            format!("n=1 c=20 h=1 w={pixels} k={channels} kernel=1,3 padding=0,1")
        }));
        all.extend(many_workgroups(suite));
        // More tiles of channels than a workgroup makes in turn.
        let in_turn = Conv2dVariant::ALL
            .into_iter()
            .filter(|variant| matches!(variant, Conv2dVariant::Subgroup { lanes: 8, .. }));
        all.extend(
            in_turn.map(|variant| format!("n=1 c=8 h=64 w=64 k=288 kernel=1 bias=true variant={}", variant.name())),
        );
        all.extend(by_variant(suite, half(suite)));
        all.extend(by_variant(suite, over_blocks(suite)));
        all.extend(cooperative(suite));
        all.extend(in_parts(split_lines("bias=true residual=true relu=true")));
        all.extend(in_parts(split_lines("bias=true precision=f16")));
        all
    },
    flops: |case| 2.0 * Geometry::of(case).multiply_adds(),
    body: Body::Kernel(Kernel {
        inputs: |case| {
            let g = Geometry::of(case);
            let output = g.attributes.output_shape(g.input, g.weight)?;
            Ok(vec![
                case.filled("input", &g.input, 0),
                g.weight(case),
                case.array("bias", &g.weight[..1]),
                case.array("residual", &output),
            ])
        },
        run: |gpu, case, inputs| {
            Box::pin(async move {
                let [input, weight, bias, residual] = inputs else { unreachable!("four inputs") };
                let bias = case.flag("bias").then_some(bias);
                let residual = case.flag("residual").then_some(residual);
                let (relu, attributes) = (case.flag("relu"), Geometry::of(case).attributes);
                let (on, inputs) = ((gpu, case.precision()), [input, weight]);
                let output =
                    host::conv2d_fused(on, case.algorithm(), inputs, bias, residual, relu, &attributes).await?;
                Ok(vec![output])
            })
        },
        twin: |case, inputs| {
            let [input, weight, bias, residual] = inputs else { unreachable!("four inputs") };
            let g = Geometry::of(case);
            let bias = case.flag("bias").then_some(bias);
            let mut output = reference::conv2d(input, weight, bias, &g.attributes);
            if case.flag("residual") {
                output = output.zip(residual, |a, b| a + b);
            }
            if case.flag("relu") {
                output = reference::relu(&output);
            }
            vec![Expected::stored(case, "output", output, roundings(case, g.terms()) + 2.0)]
        },
        slope: None,
    }),
}];

/// Names of the kernels that compute the convolution.
pub const FORWARD_VARIANTS: &[&str] = &NAMES;
/// Those that need no cooperative matrices, and those that do.
pub const VARIANTS: &[&str] = FORWARD_VARIANTS.split_at(Conv2dVariant::ALL.len()).0;
pub const MATRICES: &[&str] = FORWARD_VARIANTS.split_at(Conv2dVariant::ALL.len()).1;

/// Those that differ from `gemm` in the size of their tiles alone.
fn sizes() -> impl Iterator<Item = Conv2dVariant> {
    let sized =
        |variant: &Conv2dVariant| matches!(variant, Conv2dVariant::Gemm { .. }) && *variant != Conv2dVariant::GEMM;
    Conv2dVariant::ALL.into_iter().filter(sized)
}

/// Whether `subgroup-oct` takes the convolution of `line`; others are `subgroup-quad`'s under either name.
fn is_of_eights(line: &str) -> bool {
    let of =
        |key: &str| line.split(' ').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')?.parse::<usize>().ok());
    let groups = of("groups").unwrap_or(1);
    ["c", "k"].into_iter().all(|key| of(key).is_some_and(|channels| fills_eights(channels / groups)))
}

/// Each line once for every kernel; but for the full suite, kernels that differ in their tiles alone take turns.
pub fn by_variant(suite: Suite, lines: Vec<String>) -> Vec<String> {
    let turn = |i: usize, variant| {
        let place = sizes().position(|sized| sized == variant);
        suite == Suite::Full || place.is_none_or(|place| i % sizes().count() == place)
    };
    let with = |(i, line): (usize, &String)| {
        let fits = move |variant| variant != Conv2dVariant::SUBGROUP_OCT || is_of_eights(line);
        let variants = Conv2dVariant::ALL.into_iter().filter(move |&variant| turn(i, variant) && fits(variant));
        variants.map(|variant| format!("{line} variant={}", variant.name())).collect::<Vec<_>>()
    };
    lines.iter().enumerate().flat_map(with).collect()
}

/// One pixel and channel less than a tile, a whole one, and one more, for each size.
pub fn tile_edges(line: fn(usize, usize) -> String) -> Vec<String> {
    let around = |variant: Conv2dVariant| {
        let (pixels, channels) = variant.tile();
        [0, 1, 2].map(|more| format!("{} variant={}", line(pixels + more - 1, channels + more - 1), variant.name()))
    };
    sizes().flat_map(around).collect()
}

/// Reductions in parts: whole tiles of 16 steps and a rest, parts without any step, groups, strides, and a small map of ResNet's.
pub fn split_lines(end: &str) -> Vec<String> {
    let lines = lines(
        "
        n=2 c=24 h=5 w=7 k=40 kernel=3 padding=1 parts=3
        n=1 c=130 h=4 w=9 k=33 kernel=1 parts=2
        n=1 c=5 h=6 w=6 k=7 kernel=3 stride=2 padding=1 parts=16
        n=2 c=34 h=7 w=5 k=10 kernel=3 padding=1 groups=2 parts=4
        n=1 c=20 h=9 w=8 k=65 kernel=3,2 stride=2,1 padding=0,3 dilation=1,5 parts=5
        n=1 c=256 h=7 w=7 k=64 kernel=3 padding=1 parts=4
        n=2 c=24 h=9 w=9 k=5 kernel=3 padding=1 values=nan parts=2
        ",
    );
    lines.into_iter().map(|line| format!("{line} {end}")).collect()
}

/// Each line for every kernel that makes parts.
pub fn in_parts(lines: Vec<String>) -> Vec<String> {
    let of = |line: &String| {
        let splitting = Conv2dVariant::ALL.into_iter().filter(|variant| variant.splits());
        splitting.map(|variant| format!("{line} variant={}", variant.name())).collect::<Vec<_>>()
    };
    lines.iter().flat_map(of).collect()
}

/// Each line once for every tile of Winograd's.
pub fn by_tile(lines: Vec<String>) -> Vec<String> {
    lines.iter().flat_map(|line| [2, 4].map(|tile| format!("{line} winograd={tile}"))).collect()
}

/// What an output's rounding may add up to: at Winograd's points numbers are larger than what is left of them.
pub fn roundings(case: &Case, terms: f64) -> f64 {
    match case.word(WINOGRAD) {
        "2" => terms + 8.0,
        "4" => 2.0 * terms + 32.0,
        _ => terms,
    }
}

/// More workgroups than one dimension holds: one tile a group. The gemm kernel's tiles take software drivers seconds.
pub fn many_workgroups(suite: Suite) -> Vec<String> {
    let slow = |variant| suite != Suite::Full && matches!(variant, Conv2dVariant::Gemm { .. });
    // They are no eights of channels.
    let taken = |variant: &Conv2dVariant| *variant != Conv2dVariant::SUBGROUP_OCT && !slow(*variant);
    let name = |variant: Conv2dVariant| variant.name();
    let all = Conv2dVariant::ALL.into_iter().filter(taken).map(name);
    all.map(|name| format!("n=1 c=66000 h=1 w=1 k=66000 kernel=1 groups=66000 variant={name}")).collect()
}

/// The extents of a case.
pub struct Geometry {
    pub input: [usize; 4],
    pub weight: [usize; 4],
    pub attributes: Conv2dAttributes,
}

impl Geometry {
    pub fn of(case: &Case) -> Self {
        let [n, c, h, w, k, groups] = case.sizes(["n", "c", "h", "w", "k", "groups"]);
        let [r, s] = case.pair("kernel");
        let (stride, padding, dilation) = (case.pair("stride"), case.pair("padding"), case.pair("dilation"));
        let attributes = Conv2dAttributes { stride, padding, dilation, groups };
        Self { input: [n, c, h, w], weight: [k, c / groups.max(1), r, s], attributes }
    }

    /// Terms of the sum that makes one output.
    pub fn terms(&self) -> f64 {
        self.weight[1..].iter().map(|&extent| extent as f64).product()
    }

    pub fn outputs(&self) -> Result<[usize; 4]> {
        self.attributes.output_shape(self.input, self.weight)
    }

    pub fn multiply_adds(&self) -> f64 {
        let outputs: f64 = self.outputs().map_or(0.0, |shape| shape.iter().map(|&extent| extent as f64).product());
        outputs * self.terms()
    }

    /// The weight, of one sign where the input is.
    pub fn weight(&self, case: &Case) -> host::Array {
        let (scale, positive) = (case.number("weight_scale") as f32, case.word("values") == "positive");
        case.array_with(
            "weight",
            &self.weight,
            |value| if positive { (value.abs() + 1.0) * scale } else { value * scale },
        )
    }
}

/// Every corner of a tile, all paddings, and ResNet's maps.
pub fn winograd(suite: Suite) -> Vec<String> {
    let mut all = lines(WINOGRADS);
    for (h, w) in (1..=9).map(|h| (h, 10 - h)) {
        all.push(format!("n=1 c=5 h={h} w={w} k=6 kernel=3 padding=1 bias=true"));
    }
    for c in [1, 2, 3, 4, 7, 8, 9, 33] {
        all.push(format!("n=2 c={c} h=6 w=5 k={} kernel=3 padding=1 residual=true", 41 - c));
    }
    let sides: &[(usize, usize)] = &[(64, 56), (128, 28), (256, 14), (512, 7)];
    if suite == Suite::Full {
        let all_sides = sides.iter().map(|(c, side)| (*c, *side));
        all.extend(
            all_sides
                .map(|(c, side)| format!("n=2 c={c} h={side} w={side} k={c} kernel=3 padding=1 bias=true relu=true")),
        );
    }
    all
}

const WINOGRADS: &str = "
    n=1 c=64 h=14 w=14 k=64 kernel=3 padding=1 bias=true relu=true
    n=2 c=24 h=7 w=7 k=40 kernel=3 padding=1 bias=true residual=true relu=true
    n=1 c=130 h=8 w=8 k=20 kernel=3 padding=1
    n=3 c=8 h=10 w=11 k=12 kernel=3
    n=1 c=8 h=4 w=3 k=12 kernel=3 padding=2
    n=1 c=8 h=5 w=7 k=12 kernel=3 padding=0,2
    n=1 c=4 h=3 w=3 k=4 kernel=3
    n=1 c=4 h=1 w=1 k=4 kernel=3 padding=1
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 values=zeros
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 weight_scale=1e-12 scale=1e-12
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 weight_scale=1e15 scale=1e15
    # What is past the map or its channels must not leak in.
    n=1 c=3 h=6 w=6 k=3 kernel=3 padding=1 offset=1000
";

/// Stems over blocks of pixels: all relations of kernel, stride and padding to the end of a map, and real ones.
fn over_blocks(suite: Suite) -> Vec<String> {
    let stem = |side| format!("n=1 c=3 h={side} w={side} k=64 kernel=7 stride=2 padding=3 bias=true relu=true");
    let mut all = lines(STEMS);
    all.push(stem(112));
    for (h, w) in (7..=12).map(|h| (h, 19 - h)) {
        all.push(format!("n=2 c=3 h={h} w={w} k=5 kernel=4,3 stride=3,2 padding=1,2 residual=true"));
        all.push(format!("n=1 c={} h={h} w={w} k=9 kernel=5 stride=2 padding={}", h % 4 + 1, h % 6));
    }
    if suite == Suite::Full {
        all.push(stem(224));
    }
    let halves = [stem(56), "n=2 c=3 h=9 w=10 k=5 kernel=3 stride=2 padding=1 residual=true".into()];
    let halves = halves.map(|line| format!("{line} precision=f16"));
    all.into_iter().chain(halves).map(|line| format!("{line} space_to_depth=true")).collect()
}

const STEMS: &str = "
    n=2 c=3 h=17 w=16 k=32 kernel=3 stride=2 padding=1 bias=true relu=true
    n=1 c=3 h=32 w=32 k=33 kernel=4 stride=4
    n=1 c=4 h=9 w=9 k=8 kernel=2 stride=1,2
    n=1 c=3 h=4 w=3 k=5 kernel=7 stride=2 padding=9
    n=1 c=3 h=2 w=2 k=5 kernel=7 stride=4 padding=3
    n=2 c=3 h=15 w=14 k=6 kernel=7 stride=2 padding=3 values=zeros
    n=2 c=3 h=15 w=14 k=6 kernel=7 stride=2 padding=3 weight_scale=1e18 scale=1e18
    # What is past the map or its channels must not leak in.
    n=2 c=3 h=15 w=14 k=6 kernel=7 stride=2 padding=3 offset=1000
";

/// Cooperative matrices of both operand types: the borders of their tiles (64 or 128 pixels, 64 channels, 16 or 32 steps), and all
/// of [`half`] that is no Winograd convolution; but for the full suite, the tile of 128 takes the borders and every fourth of the rest.
fn cooperative(suite: Suite) -> Vec<String> {
    let mut halves = half(suite);
    halves.retain(|line| !line.contains("winograd"));
    let general = halves.len();
    for (c, w, k) in [(4, 63, 63), (16, 64, 64), (20, 65, 65), (32, 127, 3), (36, 128, 129), (65, 129, 128)] {
        halves.push(format!("n=1 c={c} h=1 w={w} k={k} kernel=1 bias=true precision=f16"));
    }
    let taken =
        |i: usize, name: &str| suite == Suite::Full || i >= general || i.is_multiple_of(4) || name == MATRICES[0];
    let with = |(i, line): (usize, &String)| {
        let names = MATRICES.iter().filter(move |name| taken(i, name));
        let both = [line.replace(" precision=f16", ""), line.clone()];
        names.flat_map(|name| both.clone().map(|line| format!("{line} variant={name}"))).collect::<Vec<_>>()
    };
    halves.iter().enumerate().flat_map(with).collect()
}

/// Maps and weights stored as f16: every loop and epilogue once, the borders of tiles, and Winograd's transforms of such maps.
fn half(suite: Suite) -> Vec<String> {
    let mut all = halves(HALVES);
    all.extend(eights().iter().map(|line| format!("{line} precision=f16")));
    for c in 1..=9 {
        all.push(format!("n=1 c={c} h=5 w=7 k={} kernel=3 padding=1 bias=true precision=f16", 10 - c));
    }
    for k in [31, 33, 65, 129] {
        all.push(format!("n=1 c=5 h=3 w=11 k={k} kernel=1 precision=f16"));
    }
    for tile in [2, 4] {
        let lines = ["n=2 c=24 h=7 w=7 k=40", "n=1 c=5 h=6 w=9 k=6", "n=1 c=3 h=8 w=8 k=3"];
        all.extend(lines.map(|line| {
            format!("{line} kernel=3 padding=1 bias=true residual=true relu=true winograd={tile} precision=f16")
        }));
    }
    if suite == Suite::Full {
        all.extend(resnet50(false).iter().map(|line| format!("{line} precision=f16")));
    }
    all
}

const HALVES: &[&str] = &[
    "n=1 c=3 h=112 w=112 k=64 kernel=7 stride=2 padding=3 bias=true relu=true",
    "n=1 c=64 h=28 w=28 k=64 kernel=3 padding=1 bias=true relu=true residual=true",
    "n=1 c=256 h=14 w=14 k=512 kernel=1 stride=2 bias=true relu=true residual=true",
    "n=1 c=128 h=14 w=14 k=128 kernel=3 padding=1 groups=32 bias=true",
    "n=2 c=5 h=12 w=17 k=6 kernel=3,2 stride=2,1 padding=0,3 dilation=1,5",
    "n=1 c=3 h=4 w=4 k=5 kernel=1 padding=2",
    "n=2 c=6 h=7 w=5 k=10 kernel=3 padding=1 groups=2 bias=true residual=true relu=true",
    "n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 values=zeros",
    "n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 scale=300.0",
    "n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 values=nan",
    "n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 relu=true values=inf",
];

fn forward(suite: Suite) -> Vec<String> {
    let mut all = lines(RESNET);
    all.extend(lines(CORNERS));
    all.extend(eights());
    for c in 1..=9 {
        all.push(format!("n=1 c={c} h=5 w=7 k={} kernel=3 padding=1 bias=true", 10 - c));
        all.push(format!("n=2 c={c} h=11 w=6 k={c} kernel=1 stride=2"));
        all.push(format!("n=1 c={c} h=9 w=13 k=3 kernel=2,4 stride=3 padding=2"));
    }
    // Tiles are 8, 32 or 64 pixels and channels: one more and one less of each.
    for [h, w] in [[1, 8], [3, 3], [4, 8], [3, 11], [8, 8], [5, 13], [7, 9]] {
        all.push(format!("n=1 c=4 h={h} w={w} k=4 kernel=1"));
    }
    for k in [7, 8, 9, 31, 32, 33, 63, 64, 65, 129] {
        all.push(format!("n=1 c=5 h=3 w=3 k={k} kernel=1"));
    }
    for c in [15, 16, 17, 65] {
        all.push(format!("n=1 c={c} h=6 w=6 k=8 kernel=3 padding=1"));
    }
    all.extend(resnet50(true));
    if suite == Suite::Full {
        all.extend(resnet50(false));
        // A binding past 128 MiB: 134 million bytes of input, and of output.
        all.push("n=1 c=33 h=1024 w=1024 k=4 kernel=1".into());
        all.push("n=1 c=4 h=1024 w=1024 k=33 kernel=1 bias=true".into());
    }
    all
}

/// Eights of channels, of which the last may be partly padding.
pub fn eights() -> Vec<String> {
    lines(
        "
        n=2 c=16 h=12 w=17 k=24 kernel=3,2 stride=2,1 padding=0,3 dilation=1,5
        n=1 c=5 h=9 w=8 k=15 kernel=3 stride=2 padding=1 bias=true relu=true residual=true
        n=1 c=7 h=3 w=11 k=8 kernel=1 bias=true
        n=2 c=30 h=7 w=5 k=16 kernel=3 padding=1 groups=2 bias=true relu=true residual=true
        n=2 c=8 h=9 w=9 k=16 kernel=3 padding=1 relu=true values=nan
        ",
    )
}

/// Shapes of ResNet-18, -50 and ResNeXt, some with fewer channels or smaller maps.
const RESNET: &str = "
    n=1 c=3 h=112 w=112 k=64 kernel=7 stride=2 padding=3 bias=true relu=true
    n=1 c=64 h=28 w=28 k=64 kernel=3 padding=1 bias=true relu=true residual=true
    n=2 c=128 h=14 w=14 k=128 kernel=3 stride=2 padding=1 bias=true relu=true
    n=1 c=256 h=14 w=14 k=512 kernel=1 stride=2 bias=true relu=true residual=true
    n=3 c=512 h=7 w=7 k=256 kernel=1 bias=true relu=true
    n=1 c=256 h=7 w=7 k=256 kernel=3 padding=1 bias=true relu=true residual=true
    n=1 c=128 h=14 w=14 k=128 kernel=3 padding=1 groups=32 bias=true
    # Groups whose pixels have a line between them.
    n=2 c=512 h=3 w=5 k=256 kernel=1 groups=2 bias=true residual=true relu=true
";

const CORNERS: &str = "
    n=2 c=5 h=12 w=17 k=6 kernel=3,2 stride=2,1 padding=0,3 dilation=1,5
    n=1 c=3 h=11 w=13 k=7 kernel=3 stride=3 padding=4 dilation=4,2
    n=1 c=5 h=8 w=8 k=6 kernel=3 stride=4 padding=1 bias=true residual=true relu=true
    # One pixel, all of it padding but one tap.
    n=1 c=2 h=1 w=1 k=3 kernel=3 padding=1
    # Padding beyond the kernel: whole outputs of zeros, and only zeros.
    n=1 c=3 h=4 w=4 k=5 kernel=1 padding=2
    n=1 c=3 h=2 w=3 k=5 kernel=3 stride=4 padding=9
    # A stride past the input.
    n=1 c=3 h=8 w=8 k=4 kernel=3 stride=50 padding=1
    # Kernels of one row and one column, and one that covers the whole input.
    n=1 c=4 h=6 w=15 k=4 kernel=1,11
    n=1 c=4 h=15 w=6 k=4 kernel=11,1 padding=3
    n=1 c=6 h=9 w=9 k=8 kernel=9
    # Groups, depthwise, with and without a multiplier.
    n=2 c=6 h=7 w=5 k=10 kernel=3 padding=1 groups=2 bias=true
    n=2 c=6 h=7 w=5 k=10 kernel=3 padding=1 groups=2 bias=true residual=true relu=true
    n=1 c=5 h=8 w=8 k=5 kernel=3 padding=1 groups=5 bias=true
    n=1 c=3 h=8 w=8 k=12 kernel=3 padding=1 groups=3 bias=true
    n=1 c=36 h=5 w=5 k=140 kernel=1 groups=2 bias=true
    n=2 c=6 h=13 w=9 k=70 kernel=3 padding=1 groups=2 bias=true
    # Magnitudes.
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 values=zeros
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 values=denormal
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 weight_scale=1e18 scale=1e18
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 weight_scale=1e-15 scale=1e-15
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 weight_scale=1e30 scale=1e-30
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 weight_scale=1e-30 scale=1e30
    n=1 c=5 h=7 w=7 k=6 kernel=3 padding=1 weight_scale=1e20 values=positive scale=1e20
    # NaN and infinity stay where they belong.
    n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 values=nan
    n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 values=inf
    n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 values=-inf
    n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 relu=true values=nan
    n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 relu=true values=inf
    n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 relu=true values=-inf
";

/// Every convolution of ResNet-50 as inference runs it, on an image of 224 x 224; `reduced`, with a quarter of the channels
/// and of the pixels.
pub fn resnet50(reduced: bool) -> Vec<String> {
    let part = |extent: usize, parts: usize| if reduced { extent / parts } else { extent };
    let (image, mut c, mut side) = (part(224, 2), part(64, 4), part(56, 2));
    let stem = format!("n=1 c=3 h={image} w={image} k={c} kernel=7 stride=2 padding=3 bias=true relu=true");
    let mut all = vec![stem];
    for (stage, width) in [64, 128, 256, 512].map(|width| part(width, 4)).into_iter().enumerate() {
        let stride = if stage == 0 { 1 } else { 2 };
        let out = side.div_ceil(stride);
        let at = |side: usize| format!("h={side} w={side}");
        let first = format!("n=1 c={c} {} k={width} kernel=1 bias=true relu=true", at(side));
        let middle =
            format!("n=1 c={width} {} k={width} kernel=3 stride={stride} padding=1 bias=true relu=true", at(side));
        let shortcut = format!("n=1 c={c} {} k={} kernel=1 stride={stride} bias=true", at(side), width * 4);
        (c, side) = (width * 4, out);
        let last = format!("n=1 c={width} {} k={c} kernel=1 bias=true residual=true relu=true", at(side));
        let next = format!("n=1 c={c} {} k={width} kernel=1 bias=true relu=true", at(side));
        let inner = format!("n=1 c={width} {} k={width} kernel=3 padding=1 bias=true relu=true", at(side));
        all.extend([first, middle, shortcut, last, next]);
        if stride == 2 {
            all.push(inner);
        }
    }
    all
}
