//! `gpu-resnet bench`: how fast networks, training steps and kernels run here, beside the device's own peaks.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::Context;
use super::console::{print, print_json};
use super::model::{Use, default_preprocess, open_weights};
use super::network::{ImageArgs, NetworkArgs};
use super::output_name;
use crate::bench::{self, ConvTimes, Options, Peaks, Profile, Run, StepParts, TrainPart};
use crate::error::{Error, Result};
use crate::files;
use crate::gpu::{AdapterReport, Gpu, block_on};
use crate::model::{Architecture, Network, TrainableNetwork};
use crate::ops::Precision;
use crate::verify::cases::Suite;
use crate::verify::select::Selection;
use crate::verify::timing::{CaseTime, time_cases};
use crate::weights::{self, Weights};

/// Measure images per second, and each kernel beside the device's own peaks.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet bench --arch resnet50 --batch-size 1,8 --profile")]
pub struct BenchArgs {
    /// Network to run, with random weights [default: resnet50]
    #[arg(long, value_name = "NAME", conflicts_with = "weights")]
    arch: Option<String>,
    /// Run the network of a safetensors file, a run's folder, or the name of built-in weights
    #[arg(long, value_name = "W")]
    weights: Option<OsString>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Images per step; several sizes are measured in sequence [default: 1,8,32; 8 with --train all, 32 with --train head]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: Vec<u32>,
    /// Repetitions; the result is their median [default: as many as fit into 3 seconds, at least 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    iterations: Option<u32>,
    /// Height and width of the images [default: 224, or 32 after a CIFAR stem]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=4096))]
    image_size: Option<u32>,
    /// Outputs of the classifier, with random weights [default: the architecture's]
    #[arg(long, value_name = "N", conflicts_with = "weights", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    classes: Option<u32>,
    /// Also time each dispatch, and show its share of the roofline
    #[arg(long)]
    profile: bool,
    /// Draw the dispatches of the last batch size under the device's roofline
    #[arg(long, value_name = "FILE.svg")]
    roofline: Option<PathBuf>,
    /// Measure training instead of inference: of the head on precomputed features, or of all parameters
    #[arg(long, value_enum, value_name = "head|all")]
    train: Option<TrainPart>,
    /// Measure single operations instead: each convolution of the network, forward and both gradients; with REGEX, the
    /// cases of `verify --suite full` whose lines match
    #[arg(long, value_name = "REGEX", num_args = 0..=1, conflicts_with_all = ["train", "profile", "roofline"])]
    ops: Option<Option<String>>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Report<'a> {
    adapter: &'a AdapterReport,
    peaks: Peaks,
    runs: Vec<Run>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    convolutions: Vec<ConvTimes>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cases: Vec<CaseTime>,
}

pub fn run(context: &Context, args: &BenchArgs) -> Result<()> {
    if let Some(path) = &args.roofline {
        output_name::check(path, output_name::SVG)?;
        files::check_writable(path)?;
    }
    let (architecture, weights) = args.network(context)?;
    if args.train == Some(TrainPart::Head) {
        context.f32_only("--train head")?;
    }
    if args.ops.is_some() {
        context.f32_only("--ops")?;
    }
    let gpu = context.gpu()?;
    context.console.verbose("measuring the device's peaks");
    let peaks = block_on(bench::peaks(&gpu))?;
    let mut report =
        Report { adapter: gpu.report(), peaks, runs: Vec::new(), convolutions: Vec::new(), cases: Vec::new() };
    let sizes = args.options(&architecture);
    let rounds = args.iterations.unwrap_or(5) as usize;
    match &args.ops {
        None => {
            report.runs = runs(&gpu, &architecture, &weights, args.train, context.precision(), &report.peaks, &sizes)?
        }
        Some(None) => {
            let Options { batch_size, image_size, .. } = sizes[0];
            report.convolutions = bench::convolutions(&gpu, &architecture, batch_size, image_size, rounds)?;
        }
        Some(filter @ Some(_)) => {
            let selection = Selection { suite: Suite::Full, filter: filter.clone(), variant: None };
            report.cases = time_cases(&gpu, &selection.cases()?, rounds)?;
        }
    }
    if let (Some(path), Some(run)) = (&args.roofline, report.runs.last()) {
        let mode = if args.train.is_some() { "a training step" } else { "inference" };
        let title = format!("{}: {mode} of {}, batch size {}", gpu.report().name, run.arch, run.batch_size);
        let svg = run.profile.as_ref().map(|profile| bench::draw_roofline(&title, &report.peaks, profile));
        let svg = svg.transpose().map_err(|why| Error::Gpu(format!("the roofline can't be drawn: {why}")))?;
        files::write(path, svg.unwrap_or_default().as_bytes())?;
    }
    if args.json { print_json(&report) } else { print(table(&report)) }
}

/// One run for each of `sizes`. The weights are uploaded once.
fn runs(
    gpu: &Arc<Gpu>,
    architecture: &Architecture,
    weights: &Weights,
    train: Option<TrainPart>,
    precision: Precision,
    peaks: &Peaks,
    sizes: &[Options],
) -> Result<Vec<Run>> {
    match train {
        None => {
            let network = block_on(Network::with_precision(gpu, architecture, weights, precision))?;
            sizes.iter().map(|options| bench::infer(&network, peaks, options)).collect()
        }
        Some(TrainPart::All) => {
            let network = TrainableNetwork::new(gpu, architecture, weights)?;
            let folded = block_on(Network::with_precision(gpu, architecture, weights, precision))?;
            sizes.iter().map(|options| bench::train_all(&network, &folded, peaks, options)).collect()
        }
        Some(TrainPart::Head) => {
            sizes.iter().map(|options| bench::train_head(gpu, architecture, peaks, options)).collect()
        }
    }
}

impl BenchArgs {
    fn network(&self, context: &Context) -> Result<(Architecture, Weights)> {
        if self.weights.is_some() {
            let overrides = self.network.overrides(&ImageArgs::default())?;
            let (weights, description) = open_weights(context, self.weights.as_deref(), &overrides, Use::TENSORS)?;
            return Ok((description.architecture, weights));
        }
        let mut architecture = Architecture::named(self.arch.as_deref().unwrap_or("resnet50"))?;
        if let Some(classes) = self.classes {
            architecture = architecture.with_classes(classes as usize);
        }
        let weights = weights::hash_weights(&architecture)?;
        Ok((architecture, weights))
    }

    /// What to measure, one entry per batch size.
    fn options(&self, architecture: &Architecture) -> Vec<Options> {
        let image_size = self.image_size.unwrap_or(default_preprocess(architecture).crop);
        let default: &[u32] = match self.train {
            _ if self.ops.is_some() => &[4],
            None => &[1, 8, 32],
            Some(TrainPart::All) => &[8],
            Some(TrainPart::Head) => &[32],
        };
        let sizes = if self.batch_size.is_empty() { default } else { &self.batch_size };
        let option = |&batch_size: &u32| Options {
            batch_size: batch_size as usize,
            image_size: image_size as usize,
            iterations: self.iterations.map(|count| count as usize),
            profile: self.profile || self.roofline.is_some(),
        };
        sizes.iter().map(option).collect()
    }
}

// Writing to a string can't fail, so its results are dropped below.

fn table(report: &Report) -> String {
    let Report { adapter, peaks, runs, convolutions, cases } = report;
    let mut out = format!("{} ({:?}, {} {})\n", adapter.name, adapter.backend, adapter.driver, adapter.driver_info);
    let _ = writeln!(out, "peaks: {:.1} GFLOP/s of multiply-adds, {:.1} GB/s of copying", peaks.gflops, peaks.gbps);
    if !runs.is_empty() {
        by_run(&mut out, runs);
    }
    for run in runs {
        if let Some(profile) = &run.profile {
            let _ = writeln!(out, "\nbatch size {}, by {}:", run.batch_size, profile.timed_by);
            by_kernel(&mut out, profile);
            slowest(&mut out, profile);
        }
    }
    if !convolutions.is_empty() {
        by_shape(&mut out, convolutions);
    }
    if !cases.is_empty() {
        let _ = writeln!(out, "\n{:>10} {:>9} {:>8}  case", "ms", "GFLOP/s", "GB/s");
    }
    for CaseTime { case, ms, gflops, gbps } in cases {
        let _ = writeln!(out, "{ms:>10.3} {gflops:>9.2} {gbps:>8.2}  {case}");
    }
    out
}

/// A row for each run, and what a step of training consists of.
fn by_run(out: &mut String, runs: &[Run]) {
    let _ = writeln!(
        out,
        "\n{:18} {:12} {:>5} {:>10} {:>9} {:>9} {:>7} {:>7} {:>10} {:>9} {:>11} {:>6}",
        "network",
        "",
        "batch",
        "ms/image",
        "images/s",
        "GFLOP/s",
        "of peak",
        "submits",
        "dispatches",
        "MiB",
        "activations",
        "of cut"
    );
    for run in runs {
        let what = match run.train {
            None => "inference",
            Some(TrainPart::Head) => "head step",
            Some(TrainPart::All) => "whole step",
        };
        let _ = writeln!(
            out,
            "{:18} {what:12} {:>5} {:>10.3} {:>9.1} {:>9.1} {:>6.1}% {:>7.2} {:>10} {:>9.1} {:>11.1} {:>6.2}",
            run.arch,
            run.batch_size,
            run.ms_per_image,
            run.images_per_second,
            run.gflops,
            run.fraction_of_peak * 100.0,
            run.submits,
            run.dispatches,
            run.peak_bytes as f64 / f64::from(1 << 20),
            run.activation_bytes as f64 / f64::from(1 << 20),
            run.activation_bytes as f64 / run.largest_cut_bytes as f64
        );
        parts_of_a_step(out, run);
    }
}

/// What a run tells beside its row.
fn parts_of_a_step(out: &mut String, run: &Run) {
    if let Some(StepParts { forward_ms_per_image, backward_ms_per_image, inference_ms_per_image }) = run.parts {
        let _ = writeln!(
            out,
            "    forward pass {forward_ms_per_image:.3} ms/image, backward pass {backward_ms_per_image:.3}, {:.2} times as long; \
                 inference {inference_ms_per_image:.3}",
            backward_ms_per_image / forward_ms_per_image
        );
    }
    if let Some(dispatch_us) = run.dispatch_us {
        let step_us = run.ms_per_image * run.batch_size as f64 * 1e3;
        let _ = writeln!(
            out,
            "    {:.0} steps/s; a dispatch that does next to nothing takes {dispatch_us:.1} us, {} of them {:.0} % of the step",
            1e6 / step_us,
            run.dispatches,
            dispatch_us * run.dispatches as f64 / step_us * 100.0
        );
    }
}

/// The total time of each kernel's dispatches.
fn by_kernel(out: &mut String, profile: &Profile) {
    let mut sums: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    for kernel in &profile.kernels {
        let sum = sums.entry(&kernel.kernel).or_default();
        *sum = (sum.0 + 1, sum.1 + kernel.ms);
    }
    let total: f64 = profile.kernels.iter().map(|kernel| kernel.ms).sum();
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
    let _ = writeln!(out, "{:36} {:>10} {:>10} {:>7}", "kernel", "dispatches", "ms", "share");
    for (name, (count, ms)) in sums {
        let _ = writeln!(out, "{name:36} {count:>10} {ms:>10.3} {:>6.1}%", 100.0 * ms / total);
    }
}

/// The dispatches that take longest.
fn slowest(out: &mut String, profile: &Profile) {
    const SHOWN: usize = 20;
    let mut kernels: Vec<_> = profile.kernels.iter().collect();
    kernels.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    let _ = writeln!(
        out,
        "\n{:24} {:36} {:>9} {:>9} {:>8} {:>11}",
        "slowest dispatches", "kernel", "ms", "GFLOP/s", "GB/s", "of roofline"
    );
    for k in kernels.iter().take(SHOWN) {
        let _ = writeln!(
            out,
            "{:24} {:36} {:>9.3} {:>9.1} {:>8.1} {:>10.1}%",
            k.label,
            k.kernel,
            k.ms,
            k.gflops,
            k.gbps,
            k.fraction_of_roofline * 100.0
        );
    }
}

fn by_shape(out: &mut String, convolutions: &[ConvTimes]) {
    let _ = writeln!(
        out,
        "\n{:22} {:>6} {:>18} {:>20} {:>6} {:18} {:>8} {:>9} {:>11} {:>11} {:>7} {:>7}",
        "convolution",
        "layers",
        "input",
        "weight",
        "stride",
        "algorithm",
        "GFLOP/s",
        "forward",
        "input grad",
        "weight grad",
        "input",
        "weight"
    );
    let joined = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    let mut sums = [0.0; 3];
    for c in convolutions {
        let _ = writeln!(
            out,
            "{:22} {:>6} {:>18} {:>20} {:>6} {:18} {:>8.1} {:>6.2} ms {:>8.2} ms {:>8.2} ms {:>6.2}x {:>6.2}x",
            c.layer,
            c.layers,
            joined(&c.input),
            joined(&c.weight),
            c.stride,
            c.algorithm,
            c.gflop / c.forward_ms * 1e3,
            c.forward_ms,
            c.input_ms,
            c.weight_ms,
            c.input_ms / c.forward_ms,
            c.weight_ms / c.forward_ms
        );
        let layers = c.layers as f64;
        sums = [sums[0] + layers * c.forward_ms, sums[1] + layers * c.input_ms, sums[2] + layers * c.weight_ms];
    }
    let [forward, input, weight] = sums;
    let _ = writeln!(
        out,
        "all layers: forward {forward:.1} ms, input gradient {input:.1} ms ({:.2}x), weight gradient {weight:.1} ms ({:.2}x)",
        input / forward,
        weight / forward
    );
}
