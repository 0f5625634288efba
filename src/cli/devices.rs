//! `gpu-resnet devices`: what this machine can run on.

use std::fmt::Write as _;

use super::Context;
use super::console::{print, print_json};
use crate::error::Result;
use crate::runtime::{Device, devices};

/// List adapters, drivers, limits and what each can run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet devices --json")]
pub struct DevicesArgs {
    /// Print one JSON list
    #[arg(long)]
    json: bool,
}

pub fn run(context: &Context, args: &DevicesArgs) -> Result<()> {
    let devices = devices(context.global.backend, context.switches.conv2d)?;
    if args.json { print_json(&devices) } else { print(table(&devices)) }
}

fn table(devices: &[Device]) -> String {
    let mut out = String::new();
    let yes = |b: bool| if b { "yes" } else { "no" };
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    for Device { report: r, conv2d, variants, tuned } in devices {
        let [least, most] = r.subgroup_size;
        let features = r.features;
        // Writing to a string can't fail.
        let _ = writeln!(out, "{}: {} ({:?}, {})", r.index, r.name, r.backend, r.kind);
        let _ = writeln!(out, "   driver       {} {}", r.driver, r.driver_info);
        let _ =
            writeln!(out, "   limits       buffer {}, binding {}", mib(r.max_buffer_bytes), mib(r.max_binding_bytes));
        let _ = writeln!(
            out,
            "   workgroups   {} invocations, {} KiB of memory",
            r.max_invocations_per_workgroup,
            r.max_workgroup_memory_bytes >> 10
        );
        let _ = writeln!(
            out,
            "   features     f16 {}, subgroups {} ({least} to {most}), timestamps {}, pipeline cache {}, 64-bit integers {}",
            yes(features.f16),
            yes(features.subgroups),
            yes(features.timestamps),
            yes(features.pipeline_cache),
            yes(features.int64)
        );
        let _ = writeln!(out, "   cores        {} (by {})", r.cores.count, r.cores.by.name());
        let can = variants.iter().filter(|v| v.supported).map(|v| v.variant).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "   convolution  {conv2d} by default; can run {can}");
        let _ = match tuned {
            0 => writeln!(out, "   tuned        no; `gpu-resnet tune` finds the fastest kernels"),
            n => writeln!(out, "   tuned        {n} choices"),
        };
        for variant in variants.iter().filter(|v| !v.supported) {
            let reason = variant.reason.as_deref().unwrap_or_default();
            let _ = writeln!(out, "   can't run    {} {}: {reason}", variant.op, variant.variant);
        }
        if let Some(why) = &r.unusable {
            let _ = writeln!(out, "   unusable     {why}");
        }
    }
    out
}
