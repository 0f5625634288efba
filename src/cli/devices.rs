//! `gpu-resnet devices`: what this machine can run on.

use std::fmt::Write as _;

use super::Context;
use super::console::{print, print_json};
use crate::cache::cache_dir;
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, list_adapters};
use crate::ops::{Conv2dSwitch, Conv2dVariant, ConvTarget};
use crate::tune::store;

/// List adapters, drivers, limits and what each can run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet devices --json")]
pub struct DevicesArgs {
    /// Print one JSON list
    #[arg(long)]
    json: bool,
}

/// One adapter and the kernel variants that it can run, or why not.
#[derive(serde::Serialize)]
struct Device {
    #[serde(flatten)]
    report: AdapterReport,
    /// The convolution kernel that is used.
    conv2d: &'static str,
    variants: Vec<Variant>,
    /// Convolutions that `tune` chose kernels for.
    tuned: usize,
}

#[derive(serde::Serialize)]
struct Variant {
    op: &'static str,
    variant: &'static str,
    supported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub fn run(context: &Context, args: &DevicesArgs) -> Result<()> {
    let adapters = list_adapters(context.global.backend);
    if adapters.is_empty() {
        return Err(Error::NoAdapter(
            "no GPU adapter was found: install a Vulkan driver (on Debian `apt-get install mesa-vulkan-drivers` gives a \
             software one)"
                .into(),
        ));
    }
    let devices: Vec<Device> = adapters.into_iter().map(|report| device(report, context.switches.conv2d)).collect();
    if args.json { print_json(&devices) } else { print(table(&devices)) }
}

fn device(report: AdapterReport, switch: Option<Conv2dSwitch>) -> Device {
    let variants = Conv2dVariant::FORWARD.map(|variant| {
        let supported = variant.supported(&report);
        Variant { op: "conv2d", variant: variant.name(), supported: supported.is_ok(), reason: supported.err() }
    });
    // Problems with a file are reported where it is used.
    let tuned = cache_dir().map_or(0, |cache| store::load(&cache, &report).0.len());
    let conv2d = Conv2dVariant::choose(ConvTarget { adapter: &report, switch }).name();
    Device { conv2d, variants: variants.into(), tuned, report }
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
