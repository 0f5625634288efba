//! `gpu-resnet kernels`: what the adapter's own compiler made of each kernel of a network.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Context;
use super::console::{print, print_json};
use super::model::default_preprocess;
use crate::bench::{self, Inspected, KernelReport, Options, TrainPart};
use crate::error::{Error, Result};
use crate::files;
use crate::gpu::{AdapterReport, CompiledKernel, Gpu, Inspector, Representation};
use crate::model::Architecture;
use crate::verify::inspect::{self, KernelName};
use crate::verify::offline;
use crate::weights;

/// Show what the adapter's compiler made of each kernel of a network: registers, spills, occupancy, and the share of multiply-adds in
/// the loop with the products. Vulkan drivers report this; what a driver does not report is left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet kernels --arch resnet50 --batch-size 8 --isa listings/")]
pub struct KernelsArgs {
    /// Network whose kernels are listed, with random weights
    #[arg(long, value_name = "NAME", default_value = "resnet50")]
    arch: String,
    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,
    /// Height and width of the images [default: 224, or 32 after a CIFAR stem]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=4096))]
    image_size: Option<u32>,
    /// List the kernels of training instead of inference: of the head on precomputed features, or of all parameters
    #[arg(long, value_enum, value_name = "head|all")]
    train: Option<TrainPart>,
    /// Instead of a network's kernels, list every kernel of the program with the constants that operations give it; those that the
    /// adapter cannot run are listed with the reason
    #[arg(long, conflicts_with_all = ["arch", "batch_size", "image_size", "train"])]
    every: bool,
    /// Write every representation of each kernel that the driver offers, such as its instructions, into this folder
    #[arg(long, value_name = "DIR")]
    isa: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Report<'a> {
    adapter: &'a AdapterReport,
    kernels: Vec<KernelReport>,
    /// With `--every`: kernels that the adapter never runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded: Vec<Excluded>,
}

#[derive(serde::Serialize)]
struct Excluded {
    #[serde(flatten)]
    kernel: KernelName,
    reason: String,
}

pub fn run(context: &Context, args: &KernelsArgs) -> Result<()> {
    if args.train == Some(TrainPart::Head) {
        context.f32_only("--train head")?;
    }
    let architecture = Architecture::named(&args.arch)?;
    if let Some(folder) = &args.isa {
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::file(folder, format!("can't be made: {error}; name another folder")))?;
    }
    let gpu = context.gpu()?;
    let inspector = match Inspector::open(&gpu) {
        Ok(inspector) => Some(inspector),
        Err(why) => {
            context.console.note(format!("{why}; only names are listed"));
            None
        }
    };
    let (inspected, excluded, failed) = match args.every {
        true => every(context, &gpu, inspector.as_ref())?,
        false => (of_network(context, args, &gpu, &architecture, inspector.as_ref())?, Vec::new(), 0),
    };
    if let Some(folder) = &args.isa {
        for (kernel, representations) in &inspected {
            write_listings(folder, kernel, representations)?;
        }
    }
    let kernels: Vec<KernelReport> = inspected.into_iter().map(|(kernel, _)| kernel).collect();
    let report = Report { adapter: gpu.report(), kernels, excluded };
    if args.json {
        print_json(&report)?
    } else {
        print(table(&report))?
    }
    match failed {
        0 => Ok(()),
        n => Err(Error::Mismatch(format!("{n} kernels did not compile on {}; see the lines above", gpu.report().name))),
    }
}

/// The kernels of a network's inference, or of the training that `--train` names.
fn of_network(
    context: &Context,
    args: &KernelsArgs,
    gpu: &Arc<Gpu>,
    architecture: &Architecture,
    inspector: Option<&Inspector>,
) -> Result<Vec<Inspected>> {
    let weights = weights::hash_weights(architecture)?;
    let options = Options {
        batch_size: args.batch_size as usize,
        image_size: args.image_size.unwrap_or(default_preprocess(architecture).crop) as usize,
        iterations: None,
        profile: false,
    };
    bench::kernels(gpu, architecture, &weights, context.precision(), args.train, &options, inspector)
}

/// Every kernel of the program, those that the adapter never runs, and the number that did not compile, each of which is reported.
fn every(
    context: &Context,
    gpu: &Gpu,
    inspector: Option<&Inspector>,
) -> Result<(Vec<Inspected>, Vec<Excluded>, usize)> {
    let (mut inspected, mut excluded, mut failed) = (Vec::new(), Vec::new(), 0);
    for spec in offline::specialisations()? {
        if let Some(reason) = inspect::excluded(gpu, &spec) {
            excluded.push(Excluded { kernel: KernelName::of(&spec), reason });
            continue;
        }
        let reported = match inspector {
            Some(inspector) => inspect::report(gpu, inspector, &spec),
            None => Ok((KernelReport::new(&spec, &CompiledKernel::default()), Vec::new())),
        };
        match reported {
            Ok(reported) => inspected.push(reported),
            Err(error) => {
                failed += 1;
                context.console.complain(error);
            }
        }
    }
    Ok((inspected, excluded, failed))
}

/// A name such as `batch_norm.apply-CHANNELS4=16.NIR_Shader.txt`.
fn write_listings(folder: &Path, kernel: &KernelReport, representations: &[Representation]) -> Result<()> {
    let mut stem = kernel.name.replace('/', "-");
    for (name, value) in &kernel.constants {
        let _ = write!(stem, "-{name}={value}");
    }
    for Representation { name, text } in representations {
        let form: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        files::write(&folder.join(format!("{stem}.{form}.txt")), text.as_bytes())?;
    }
    Ok(())
}

fn table(report: &Report) -> String {
    let AdapterReport { name, backend, driver, driver_info, .. } = report.adapter;
    let mut out = format!("{name} ({backend:?}, {driver} {driver_info})\n");
    // Writing to a string can't fail.
    let _ = writeln!(
        out,
        "{:44} {:>8} {:>9} {:>6} {:>8} {:>9} {:>9} {:>12} {:>7} {:>8}",
        "kernel",
        "subgroup",
        "registers",
        "spills",
        "scratch",
        "workgroup",
        "occupancy",
        "instructions",
        "FMA",
        "prefetch"
    );
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| value.to_string());
    for kernel in &report.kernels {
        let figures = &kernel.figures;
        let constants: Vec<String> = kernel.constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let share = figures.hot_loop_fma_share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let prefetch = match figures.waits_for_prefetch {
            None => "-",
            Some(true) => "waits",
            Some(false) => "overlaps",
        };
        let _ = writeln!(
            out,
            "{:44} {:>8} {:>9} {:>6} {:>8} {:>9} {:>9} {:>12} {share:>7} {prefetch:>8}",
            format!("{} {}", kernel.name, constants.join(" ")),
            number(figures.subgroup_size.map(f64::from)),
            number(figures.registers),
            number(figures.spills),
            number(figures.scratch_bytes),
            number(figures.workgroup_bytes),
            number(figures.occupancy),
            number(figures.instructions)
        );
    }
    for Excluded { kernel, reason } in &report.excluded {
        let _ = writeln!(out, "{:44} excluded: {reason}", kernel.to_string());
    }
    out
}
