//! The numeric fingerprint: small shaders that test how an adapter computes, one question per probe. No answer is a failure: the shading
//! language leaves (nearly) all of it to the driver. Two adapters whose kernels differ usually differ here first.
//!
//! A group of probes is one shader under `shaders/fingerprint/`, its operands, and a judge, which compares the results with
//! IEEE 754 arithmetic on the host. Judges are plain functions, so that tests can feed them results of adapters that are not available.

mod answer;
mod contraction;
mod conversions;
mod denormals;
mod functions;
mod half;
mod integers;
mod loops;
mod rounding;
mod run;
mod special;
mod subgroups;
mod sums;
mod ulp;

use std::sync::Arc;

use crate::gpu::{Features, Gpu};
use crate::verify::case::Running;
use crate::verify::report::{Fingerprint, Probe};

/// The probes of one shader.
struct Group {
    /// Name of the group, and of its file.
    name: &'static str,
    /// Checks the adapter's features; the reason if it lacks one.
    supported: fn(Features) -> Result<(), &'static str>,
    /// Runs the probes on the adapter.
    ask: for<'a> fn(&'a run::Asker<'a>) -> Running<'a, Vec<Probe>>,
}

const GROUPS: [Group; 11] = [
    Group { name: "fma", supported: always, ask: |asker| Box::pin(contraction::ask(asker)) },
    Group { name: "sum", supported: always, ask: |asker| Box::pin(sums::ask(asker)) },
    Group { name: "denormals", supported: always, ask: |asker| Box::pin(denormals::ask(asker)) },
    Group { name: "rounding", supported: always, ask: |asker| Box::pin(rounding::ask(asker)) },
    Group { name: "accuracy", supported: always, ask: |asker| Box::pin(functions::ask(asker)) },
    Group { name: "special", supported: always, ask: |asker| Box::pin(special::ask(asker)) },
    Group { name: "integers", supported: always, ask: |asker| Box::pin(integers::ask(asker)) },
    Group { name: "conversions", supported: always, ask: |asker| Box::pin(conversions::ask(asker)) },
    Group { name: "f16", supported: halves, ask: |asker| Box::pin(half::ask(asker)) },
    Group { name: "loops", supported: always, ask: |asker| Box::pin(loops::ask(asker)) },
    Group { name: "subgroups", supported: subgroup_operations, ask: |asker| Box::pin(subgroups::ask(asker)) },
];

fn always(_: Features) -> Result<(), &'static str> {
    Ok(())
}

fn halves(features: Features) -> Result<(), &'static str> {
    if features.f16 { Ok(()) } else { Err("the adapter has no f16 arithmetic") }
}

fn subgroup_operations(features: Features) -> Result<(), &'static str> {
    if features.subgroups { Ok(()) } else { Err("the adapter has no subgroup operations") }
}

/// Runs all probes. A group that can't run is one probe, `NAME`, with the value `unsupported` or `error`.
///
/// # Errors
/// Only a lost device, on which nothing more can run.
pub async fn fingerprint(gpu: &Arc<Gpu>) -> crate::Result<Fingerprint> {
    let mut probes = Vec::new();
    for group in &GROUPS {
        let alone = |value: &str, detail: String| vec![Probe { name: group.name.into(), value: value.into(), detail }];
        probes.extend(match (group.supported)(gpu.features()) {
            Err(reason) => alone("unsupported", reason.into()),
            Ok(()) => match (group.ask)(&run::Asker { gpu }).await {
                Ok(probes) => probes,
                Err(lost @ crate::Error::DeviceLost(_)) => return Err(lost),
                Err(error) => alone("error", error.to_string()),
            },
        });
    }
    Ok(Fingerprint { probes })
}
