//! `gpu-resnet tune`: finds the fastest kernel for each convolution on this adapter, and keeps it for all other commands.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

use super::Context;
use super::console::{interrupt, print, print_json};
use super::model::{Use, default_preprocess, open_weights};
use super::network::{ImageArgs, NetworkArgs};
use crate::cache::cache_dir;
use crate::error::Result;
use crate::gpu::AdapterReport;
use crate::model::Architecture;
use crate::tune::{self, Candidate, Options, Outcome, Tuned, store};

/// Find and keep the fastest kernel for each convolution of a network on this adapter.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet tune --arch resnet50 --batch-size 8\n\n\
    A candidate can be chosen only if its results match the default's. Other commands use the choices from then on; \
    --no-tuning or GPU_RESNET_TUNE=off ignores them. Choices depend on the shape of a convolution, so networks share them.")]
pub struct TuneArgs {
    /// Network whose convolutions are tuned [default: resnet50]
    #[arg(long, value_name = "NAME", conflicts_with = "weights")]
    arch: Option<String>,
    /// Tune for the network of a weights file, a run's folder, or the name of built-in weights
    #[arg(long, value_name = "W")]
    weights: Option<OsString>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Images that are timed together; the choices apply to any batch size
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,
    /// Height and width of the images [default: 224, or 32 after a CIFAR stem]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=4096))]
    image_size: Option<u32>,
    /// Also tune the gradients of training
    #[arg(long)]
    train: bool,
    /// Try nothing new after this many seconds; shapes that were not started keep their defaults
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Forget the choices for this adapter
    #[arg(long, conflicts_with_all = ["arch", "weights", "train"])]
    clear: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Report<'a> {
    adapter: &'a AdapterReport,
    batch_size: u32,
    image_size: usize,
    /// All convolutions of the network together.
    default_ms: f64,
    ms: f64,
    /// Shapes that there was no time for.
    left_out: usize,
    convolutions: &'a [Tuned],
    file: String,
}

pub fn run(context: &Context, args: &TuneArgs) -> Result<()> {
    let cache = cache_dir()?;
    if args.clear {
        let gpu = context.gpu_untuned()?;
        let there = store::clear(&cache, gpu.report())?;
        let what = if there { "forgot" } else { "there were none of" };
        context.console.note(format!("{what} the choices for {}", gpu.report().name));
        return Ok(());
    }
    let architecture = args.architecture(context)?;
    let image_size = args.image_size.unwrap_or_else(|| default_preprocess(&architecture).crop) as usize;
    let gpu = context.gpu_untuned()?;
    context.precision().check(gpu.report())?;
    let options = Options {
        batch_size: args.batch_size as usize,
        image_size,
        train: args.train,
        precision: context.precision(),
        limit: Duration::from_secs(args.limit.into()),
    };
    let stop = interrupt();
    let bar = context.console.progress(0, "tuning");
    let outcome = tune::tune(&gpu, &architecture, &options, &mut |done, all, next| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(next.to_owned());
        stop.check()
    })?;
    bar.finish_and_clear();
    // Only now: earlier choices stay valid until all is measured.
    let file = store::save(&cache, gpu.report(), outcome.choices())?;
    let [default_ms, ms] = outcome.totals();
    if args.json {
        return print_json(&Report {
            adapter: gpu.report(),
            batch_size: args.batch_size,
            image_size,
            default_ms,
            ms,
            left_out: outcome.left_out,
            convolutions: &outcome.tuned,
            file: file.display().to_string(),
        });
    }
    print(table(&outcome))?;
    context.console.note(format!("kept in {}", file.display()));
    Ok(())
}

impl TuneArgs {
    fn architecture(&self, context: &Context) -> Result<Architecture> {
        match &self.weights {
            Some(weights) => {
                let overrides = self.network.overrides(&ImageArgs::default())?;
                Ok(open_weights(context, Some(weights), &overrides, Use::TENSORS)?.1.architecture)
            }
            None => Architecture::named(self.arch.as_deref().unwrap_or("resnet50")),
        }
    }
}

fn table(outcome: &Outcome) -> String {
    let mut out = String::new();
    let joined = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    for t in &outcome.tuned {
        let gain = t.default_ms / t.ms;
        // Writing to a string can't fail.
        let _ = writeln!(
            out,
            "{} {} (x{}): {} * {} stride {}: {} {:.2} ms, {:.2}x of {}",
            t.layer,
            t.pass,
            t.layers,
            joined(&t.input),
            joined(&t.weight),
            t.stride,
            t.choice,
            t.ms,
            gain,
            t.default
        );
        for candidate in &t.candidates {
            let _ = writeln!(out, "    {}", line(candidate));
        }
    }
    let [default_ms, ms] = outcome.totals();
    let _ = writeln!(out, "all convolutions: {ms:.1} ms, {default_ms:.1} ms by default: {:.2}x", default_ms / ms);
    if outcome.left_out > 0 {
        let _ = writeln!(out, "there was no time for {} shapes; raise --limit", outcome.left_out);
    }
    out
}

fn line(candidate: &Candidate) -> String {
    let Candidate { algorithm, ms, gflops, rejected, .. } = candidate;
    match (rejected, ms, gflops) {
        (None, Some(ms), Some(gflops)) => format!("{algorithm:24} {ms:>9.3} ms {gflops:>8.1} GFLOP/s"),
        (Some(why), ..) => format!("{algorithm:24} rejected: {why}"),
        _ => format!("{algorithm:24} not timed"),
    }
}
