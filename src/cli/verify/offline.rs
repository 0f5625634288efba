//! `verify --offline-shaders`: compiles every kernel with the installed compilers, without a GPU.

use std::time::Duration;

use super::super::Context;
use super::super::console::{interrupt, print, print_json};
use super::VerifyArgs;
use crate::error::{Error, Result};
use crate::verify::expectations::Expectations;
use crate::verify::offline::vendors::{self, VendorReport, VendorRun};
use crate::verify::offline::{self, Limits, Tools, Tree, VendorGpu};
use crate::verify::select::filter_regex;

/// GPUs that are compiled for at a time, unless the user says how many: each takes a core.
const GPUS_AT_A_TIME: usize = 2;

/// One of the values of `--gpus`.
pub fn gpu(text: &str) -> Result<String, String> {
    let names = VendorGpu::ALL.map(|gpu| gpu.name);
    let known = text == "none" || VendorGpu::named(text).is_some();
    if known { Ok(text.into()) } else { Err(format!("it is none, or some of {}", names.join(", "))) }
}

pub fn run(context: &Context, args: &VerifyArgs) -> Result<()> {
    let filter = filter_regex(args.filter.as_deref())?;
    let wanted = |name: &str| filter.as_ref().is_none_or(|filter| filter.is_match(name));
    let limits = Limits { timeout: Duration::from_secs_f64(args.timeout), stop: || interrupt().is_raised() };
    // From here on Ctrl-C stops the tools first.
    interrupt();
    let mut report = offline::check(&Tools::find(limits), &wanted)?;
    report.vendors = ask_vendors(context, args, limits, &wanted)?;
    if args.json {
        print_json(&report)?
    } else {
        print(report.table())?
    }
    report.verdict(args.allow_unexpected_pass)
}

fn ask_vendors(
    context: &Context,
    args: &VerifyArgs,
    limits: Limits,
    wanted: &(dyn Fn(&str) -> bool + Sync),
) -> Result<VendorReport> {
    if args.gpus == ["none"] {
        return Ok(VendorReport::skipped("vendors' compilers, by --gpus none".into()));
    }
    let tree = match Tree::find() {
        Ok(tree) => tree,
        // Named GPUs are required.
        Err(why) if args.gpus.is_empty() => return Ok(VendorReport::skipped(why)),
        Err(why) => return Err(Error::Usage(why)),
    };
    let program = std::env::current_exe().map_err(|e| Error::file("gpu-resnet", e))?;
    let chosen = |gpu: &VendorGpu| args.gpus.is_empty() || args.gpus.iter().any(|name| name == gpu.name);
    let gpus = VendorGpu::ALL.iter().filter(|gpu| chosen(gpu)).map(|gpu| {
        let mut setup = tree.setup(gpu, &program)?;
        setup.arguments.extend(args.fault.iter().flat_map(|fault| ["--fault".to_owned(), fault.clone()]));
        Ok((gpu.name.to_owned(), setup))
    });
    let gpus = gpus.collect::<Result<Vec<_>>>()?;
    let expectations = Expectations::load(args.expectations.as_deref())?;
    let jobs = args.jobs.map_or(GPUS_AT_A_TIME, usize::from);
    let done = |run: &VendorRun| context.console.note(run.line());
    let runs = vendors::compile(&gpus, &offline::chosen(wanted)?, &expectations, limits, jobs, &done)?;
    Ok(VendorReport { skipped: None, gpus: runs })
}
