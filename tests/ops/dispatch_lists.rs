//! What plans dispatch, recorded without running it: label, kernel with its constants, bytes of each tensor, workgroups, uniform block and
//! cost. A change that only moves code changes no list.
//!
//! The lists of single convolutions are compared with a table of hashes, one line for each algorithm. The lists of whole networks follow the
//! policy, which changes with every measurement, so they are compared by hand, before and after a change:
//!
//! ```sh
//! LISTS=before.txt cargo test --release --test ops -- --ignored write_dispatch_lists
//! ```

use std::collections::HashMap;
use std::fmt::Write;

use gpu_resnet::gpu::{Dispatch, Recording, TensorId};
use gpu_resnet::ops::attributes::Conv2dAttributes;
use gpu_resnet::ops::{
    Conv2d, Conv2dAlgorithm, Conv2dPass, Conv2dVariant, ConvOperands, ConvPlan, Epilogue, FeatureMap, GradEpilogue,
    MapShape, Precision, WeightLayout, WinogradTile,
};
use gpu_resnet::weights::hash_input;
use sha2::{Digest, Sha256};

/// The dispatches of one recording as text.
#[derive(Default)]
pub struct List {
    pub text: String,
    pub dispatches: usize,
}

impl List {
    /// Adds the dispatches of `r`; a tensor is named by its first appearance.
    pub fn add(&mut self, r: &Recording) {
        let mut names: HashMap<TensorId, usize> = HashMap::new();
        for Dispatch { label, kernel, tensors, params, workgroups, cost } in r.dispatches() {
            self.dispatches += 1;
            let (name, constants) = (kernel.name(), &kernel.constants);
            write!(self.text, "{label} | {name} {constants:?} |").expect("a line");
            for tensor in tensors {
                let next = names.len();
                let name = *names.entry(*tensor).or_insert(next);
                write!(self.text, " t{name}:{}", r.bytes(*tensor)).expect("a line");
            }
            let words: Vec<u32> =
                params.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("a word"))).collect();
            let cost = [cost.flops, cost.bytes];
            writeln!(self.text, " | {workgroups:?} | {words:?} | {cost:?}").expect("a line");
        }
    }

    /// Adds what `record` appends to a recording, or why it appends nothing.
    fn note(&mut self, what: &str, record: impl FnOnce(&mut Recording) -> gpu_resnet::Result<()>) {
        let mut r = Recording::new();
        writeln!(self.text, "-- {what}").expect("a line");
        match record(&mut r) {
            Ok(()) => self.add(&r),
            Err(error) => writeln!(self.text, "{error}").expect("a line"),
        }
    }

    pub fn hash(&self) -> String {
        digest(self.text.as_bytes())
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..8].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A convolution and the height and width of its input.
type Sized = (Conv2d, [usize; 2]);

fn conv([c, k]: [usize; 2], kernel: [usize; 2], attributes: Conv2dAttributes, map: [usize; 2]) -> Sized {
    (Conv2d { attributes, in_channels: c, out_channels: k, kernel }, map)
}

/// Up to 32 channels, so that no list depends on the processor's number of cores: plain, strided, dilated, grouped, by blocks.
fn small() -> Vec<Sized> {
    let of = |stride, padding, dilation, groups| Conv2dAttributes { stride, padding, dilation, groups };
    vec![
        conv([5, 13], [3, 3], of([1, 1], [1, 1], [1, 1], 1), [9, 11]),
        conv([32, 32], [3, 3], of([1, 1], [1, 1], [1, 1], 1), [28, 28]),
        conv([16, 32], [1, 1], of([1, 1], [0, 0], [1, 1], 1), [14, 14]),
        conv([32, 16], [1, 1], of([2, 2], [0, 0], [1, 1], 1), [15, 14]),
        conv([3, 32], [7, 7], of([2, 2], [3, 3], [1, 1], 1), [32, 30]),
        conv([3, 16], [3, 3], of([1, 1], [1, 1], [1, 1], 1), [8, 8]),
        conv([4, 9], [5, 4], of([2, 1], [0, 2], [1, 1], 1), [17, 12]),
        conv([24, 18], [3, 3], of([2, 2], [1, 1], [1, 1], 3), [10, 7]),
        conv([32, 32], [3, 3], of([1, 1], [1, 1], [1, 1], 8), [7, 7]),
        conv([8, 12], [3, 2], of([3, 1], [2, 0], [2, 3], 1), [19, 13]),
        conv([16, 8], [5, 5], of([2, 3], [4, 4], [2, 1], 2), [12, 12]),
    ]
}

/// Groups whose channels do not fill vec4s, so that the list shows how a map is padded.
fn unfilled() -> Sized {
    conv([18, 12], [3, 3], Conv2dAttributes { groups: 3, ..Default::default() }, [6, 6])
}

/// What networks have beside them.
fn large() -> Vec<Sized> {
    let of = |stride, padding, dilation, groups| Conv2dAttributes { stride, padding, dilation, groups };
    vec![
        conv([3, 64], [7, 7], of([2, 2], [3, 3], [1, 1], 1), [224, 224]),
        conv([64, 64], [3, 3], of([1, 1], [1, 1], [1, 1], 1), [56, 56]),
        conv([512, 512], [3, 3], of([1, 1], [1, 1], [1, 1], 1), [7, 7]),
        conv([256, 1024], [1, 1], of([1, 1], [0, 0], [1, 1], 1), [14, 14]),
        conv([512, 1024], [1, 1], of([2, 2], [0, 0], [1, 1], 1), [28, 28]),
        conv([256, 256], [3, 3], of([2, 2], [1, 1], [1, 1], 32), [28, 28]),
        conv([96, 80], [3, 3], of([1, 1], [2, 2], [2, 2], 2), [20, 22]),
    ]
}

fn algorithms() -> Vec<Conv2dAlgorithm> {
    let variants = Conv2dVariant::FORWARD;
    let tiles = WinogradTile::ALL.into_iter().flat_map(|tile| variants.map(|v| Conv2dAlgorithm::Winograd(tile, v)));
    let split = variants.into_iter().filter(|variant| variant.splits());
    let split = split.flat_map(|variant| [2, 5, 16].map(|parts| Conv2dAlgorithm::Split(variant, parts)));
    let direct = variants.into_iter().map(Conv2dAlgorithm::Direct);
    direct.chain(tiles).chain(variants.map(Conv2dAlgorithm::SpaceToDepth)).chain(split).collect()
}

/// Every pass over `sized` for so many images by `algorithm`, and the packing of the weight on both sides.
fn note(list: &mut List, algorithm: Conv2dAlgorithm, (conv, [h, w]): Sized, images: usize, precision: Precision) {
    let shape = [images, conv.in_channels, h, w];
    let made = conv.output_shape(shape).expect("a shape");
    let groups = conv.attributes.groups;
    let map = |r: &mut Recording, label: &str, shape| {
        let shape = MapShape::grouped(shape, groups).expect("a shape").stored(precision);
        shape.at(r.temporary(label, 0))
    };
    writeln!(list.text, "== {} {conv:?} {shape:?} {}", algorithm.name(), precision.name()).expect("a line");
    if images == 1 && precision == Precision::F32 {
        let weight = hash_input("lists.weight", conv.weight_shape().iter().product());
        for pass in [Conv2dPass::Forward, Conv2dPass::ByInput] {
            match WeightLayout::new(&conv, pass, algorithm, precision) {
                Ok(layout) => {
                    let packed = layout.pack(&weight);
                    let packed = (packed.len(), digest(bytemuck::cast_slice(&packed)));
                    writeln!(list.text, "packed {packed:?} of {:?}", layout.extents())
                }
                Err(why) => writeln!(list.text, "{why} {why}"),
            }
            .expect("a line");
        }
    }
    let epilogues = [(false, false, false), (true, true, true), (true, false, false), (false, false, true)];
    for (bias, residual, relu) in epilogues {
        list.note("forward", |r| {
            let (input, weight) = (map(r, "input", shape), r.temporary("weight", 0));
            let plan = ConvPlan::new(&conv, Conv2dPass::Forward, algorithm, input.shape)?;
            let weight = plan.weight()?.record_pack(r, "pack", weight)?;
            let bias = bias.then(|| r.temporary("bias", 0));
            let residual = residual.then(|| map(r, "residual", made));
            let epilogue = Epilogue { bias, residual, relu };
            plan.record(r, "conv", ConvOperands::Forward { input, weight, epilogue }).map(drop)
        });
    }
    for (residual, rectified) in [(false, false), (true, true), (true, false), (false, true)] {
        list.note("by input", |r| {
            let (grad_output, weight) = (map(r, "grad_output", made), r.temporary("weight", 0));
            let input = MapShape::grouped(shape, groups)?.stored(precision);
            let plan = ConvPlan::new(&conv, Conv2dPass::ByInput, algorithm, input)?;
            let weight = plan.weight()?.record_pack(r, "pack", weight)?;
            let residual = residual.then(|| map(r, "residual", shape));
            let rectified = rectified.then(|| map(r, "rectified", shape));
            let epilogue = GradEpilogue { residual, rectified };
            plan.record(r, "conv", ConvOperands::InputGradient { grad_output, weight, epilogue }).map(drop)
        });
    }
    list.note("by weight", |r| {
        let (input, grad_output) = (map(r, "input", shape), map(r, "grad_output", made));
        let plan = ConvPlan::new(&conv, Conv2dPass::ByWeight, algorithm, input.shape)?;
        plan.record(r, "conv", ConvOperands::WeightGradient { input, grad_output }).map(drop)
    });
}

/// What becomes of operands that do not belong to the plan: each with what was wrong.
fn refusals((conv, [h, w]): Sized, algorithm: Conv2dAlgorithm) -> Vec<(&'static str, gpu_resnet::Result<()>)> {
    let shape = [2, conv.in_channels, h, w];
    let groups = conv.attributes.groups;
    let [n, k, p, q] = conv.output_shape(shape).expect("a shape");
    let mut r = Recording::new();
    let (weight, bytes) = (r.temporary("weight", 0), r.temporary("map", 0));
    let map = |shape| MapShape::grouped(shape, groups).expect("a shape").at(bytes);
    let half = |map: FeatureMap| map.shape.stored(Precision::F16).at(bytes);
    let (input, output) = (map(shape), map([n, k, p, q]));
    let (taller, wider) = (map([n, k, p + 1, q]), map([n, k, p, q + 1]));
    let mut record =
        |pass, operands| ConvPlan::new(&conv, pass, algorithm, input.shape)?.record(&mut r, "conv", operands).map(drop);
    let forward = |input, residual| ConvOperands::Forward {
        input,
        weight,
        epilogue: Epilogue { residual, ..Default::default() },
    };
    let by_input = |grad_output, rectified| ConvOperands::InputGradient {
        grad_output,
        weight,
        epilogue: GradEpilogue { residual: None, rectified },
    };
    let by_weight = |grad_output| ConvOperands::WeightGradient { input, grad_output };
    let [a, b, c] = Conv2dPass::ALL;
    let unpadded = MapShape::new(shape).expect("a shape");
    let mut all = vec![
        ("an input of another shape", record(a, forward(map([n + 1, conv.in_channels, h, w]), None))),
        ("an input of another type", record(a, forward(half(input), None))),
        ("a residual of another shape", record(a, forward(input, Some(taller)))),
        ("a gradient of another shape", record(b, by_input(wider, None))),
        ("a rectified input of another shape", record(b, by_input(output, Some(map([n, conv.in_channels, h, w + 1]))))),
        ("a weight gradient of another shape", record(c, by_weight(wider))),
        ("maps of two types", record(c, by_weight(half(output)))),
        ("operands of the forward pass", record(c, forward(input, None))),
        ("operands of the weight gradient", record(b, by_weight(output))),
        ("operands of the input gradient", record(a, by_input(output, None))),
        ("the weight of a weight gradient", WeightLayout::new(&conv, c, algorithm, Precision::F32).map(drop)),
    ];
    if unpadded.c4 != input.c4 {
        all.push(("channels in one group", ConvPlan::new(&conv, a, algorithm, unpadded).map(drop)));
    }
    all
}

#[test]
fn operands_of_other_shapes_and_passes_are_refused() {
    let mut refused = 0;
    for algorithm in algorithms() {
        for sized in small().into_iter().chain([unfilled()]) {
            for (what, result) in refusals(sized, algorithm) {
                let error = result.expect_err(what);
                assert!(matches!(error, gpu_resnet::Error::Shape { .. }), "{what}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 11_000, "{refused}");
}

fn of(algorithm: Conv2dAlgorithm, sizes: &[Sized], images: &[usize]) -> List {
    let mut list = List::default();
    for &sized in sizes {
        for &images in images {
            for precision in Precision::ALL {
                note(&mut list, algorithm, sized, images, precision);
            }
        }
    }
    list
}

/// The table of hashes. After an intended change of what is dispatched, paste the table that the test prints.
const TABLE: &str = include_str!("dispatch_lists.txt");

#[test]
fn convolutions_dispatch_what_the_table_says() {
    let line = |algorithm: Conv2dAlgorithm| {
        let list = of(algorithm, &small(), &[1, 3]);
        format!("{} {} {}\n", algorithm.name(), list.dispatches, list.hash())
    };
    let found: String = algorithms().into_iter().map(line).collect();
    let changed: Vec<&str> = found.lines().filter(|line| !TABLE.lines().any(|held| held == *line)).collect();
    assert!(found == TABLE, "other dispatches than the table's: {changed:?}; the table would be\n{found}");
}

/// Writes a line for each list into the file that `LISTS` names, and those whose name contains `LISTS_TEXT` in full beside it.
#[test]
#[ignore = "compared by hand before and after a change"]
fn write_dispatch_lists() {
    let path = std::env::var("LISTS").expect("LISTS names a file");
    let wanted = std::env::var("LISTS_TEXT").ok();
    let (mut lines, mut text, mut lists, mut dispatches) = (String::new(), String::new(), 0, 0);
    let mut write = |name: String, list: List| {
        lists += 1;
        dispatches += list.dispatches;
        writeln!(lines, "{name} {} {}", list.dispatches, list.hash()).expect("a line");
        if wanted.as_ref().is_some_and(|wanted| name.contains(wanted)) {
            writeln!(text, "#### {name}\n{}", list.text).expect("a line");
        }
    };
    for algorithm in algorithms() {
        for (index, sized) in small().into_iter().chain(large()).enumerate() {
            write(format!("{} of convolution {index}", algorithm.name()), of(algorithm, &[sized], &[1, 8]));
        }
    }
    super::network_lists::write(&mut write);
    std::fs::write(&path, format!("{lines}{lists} lists, {dispatches} dispatches\n")).expect("a file");
    std::fs::write(format!("{path}.text"), text).expect("a file");
}
