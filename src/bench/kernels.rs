//! What the adapter's own compiler made of each kernel of a plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Options, TrainPart};
use crate::error::Result;
use crate::gpu::{CompiledKernel, Gpu, Inspector, KernelSpec, Representation, Statistic, block_on};
use crate::isa::{self, HotLoop};
use crate::model::{Architecture, Forward, InputKind, Network, TensorSource};
use crate::ops::Precision;
use crate::train::{
    Examples, HeadOptions, HeadShape, HeadTrainer, NetworkOptions, NetworkSettings, NetworkTrainer, Unfreeze,
};

/// One kernel as the driver compiled it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelReport {
    pub name: String,
    pub entry: &'static str,
    /// Its pipeline-overridable constants.
    pub constants: BTreeMap<&'static str, u32>,
    #[serde(flatten)]
    pub figures: Figures,
}

/// What a driver reports about a compiled kernel. What it does not report is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Invocations of a subgroup.
    pub subgroup_size: Option<u32>,
    /// 32-bit registers per invocation.
    pub registers: Option<f64>,
    /// Spills: instructions that move registers to memory, or on AMD the number of such registers.
    pub spills: Option<f64>,
    /// Scratch memory per invocation (on AMD, per subgroup).
    pub scratch_bytes: Option<f64>,
    pub workgroup_bytes: Option<f64>,
    /// Occupancy in the driver's unit: subgroups per SIMD (AMD), warps per SM (NVIDIA), waves per core (Adreno), invocations per
    /// core (Apple).
    pub occupancy: Option<f64>,
    pub instructions: Option<f64>,
    /// Share of multiply-adds among the instructions of the loop with the products, from 0 to 1.
    pub hot_loop_fma_share: Option<f64>,
    /// Whether the loop waits for its loads before its products.
    pub waits_for_prefetch: Option<bool>,
}

/// A kernel's report and its representations by the driver.
pub type Inspected = (KernelReport, Vec<Representation>);

/// Plans what `train` names (inference by default) on `gpu`, and reports every kernel that the plans use. Without an inspector the reports
/// contain only names.
///
/// # Errors
/// A kernel that does not compile, or too little memory on the adapter.
pub fn kernels(
    gpu: &Arc<Gpu>,
    architecture: &Architecture,
    weights: &dyn TensorSource,
    precision: Precision,
    train: Option<TrainPart>,
    options: &Options,
    inspector: Option<&Inspector>,
) -> Result<Vec<Inspected>> {
    plan(gpu, architecture, weights, precision, train, options)?;
    let report = |spec: KernelSpec| {
        let compiled = inspector.map(|inspector| inspector.compile(gpu, &spec)).transpose()?.unwrap_or_default();
        Ok((KernelReport::new(&spec, &compiled), compiled.representations))
    };
    let mut specs = gpu.compiled();
    specs.sort_by(|a, b| (a.shader_name(), a.entry, &a.constants).cmp(&(b.shader_name(), b.entry, &b.constants)));
    specs.into_iter().map(report).collect()
}

/// Compiles what a network needs, as the commands do.
fn plan(
    gpu: &Arc<Gpu>,
    architecture: &Architecture,
    weights: &dyn TensorSource,
    precision: Precision,
    train: Option<TrainPart>,
    options: &Options,
) -> Result<()> {
    let Options { batch_size, image_size, .. } = *options;
    let size = [image_size; 2];
    // Their values do not affect a kernel.
    let input = InputKind::Pixels { mean: [0.0; 3], std: [1.0; 3] };
    let head = HeadOptions { batch_size, ..HeadOptions::default() };
    match train {
        None => {
            let network = block_on(Network::with_precision(gpu, architecture, weights, precision))?;
            Forward::new(&network, input, batch_size, size, false).map(drop)
        }
        Some(TrainPart::Head) => {
            let shape = HeadShape { features: architecture.features(), classes: architecture.classes };
            let features = vec![0.0; batch_size * shape.features];
            let labels = vec![0; batch_size];
            let examples = Examples { features: &features, labels: &labels };
            HeadTrainer::new(gpu, shape, examples, Some(examples), head, None).map(drop)
        }
        Some(TrainPart::All) => {
            let network = NetworkSettings { unfreeze: Unfreeze::All, precision, ..NetworkSettings::default() };
            let options = NetworkOptions { head, network, input, size };
            NetworkTrainer::new(gpu, architecture, weights, options, batch_size).map(drop)
        }
    }
}

impl KernelReport {
    /// What the driver reports about `spec` in `compiled`.
    pub fn new(spec: &KernelSpec, compiled: &CompiledKernel) -> Self {
        let constants = spec.constants.iter().copied().collect();
        Self { name: spec.name(), entry: spec.entry, constants, figures: Figures::of(compiled) }
    }
}

impl Figures {
    fn of(compiled: &CompiledKernel) -> Self {
        let statistics = &compiled.statistics;
        let first =
            |names: &[(&str, f64)]| names.iter().find_map(|&(name, unit)| Some(sum(statistics, &[name])? * unit));
        let hot = hot_loop(&compiled.representations);
        Self {
            subgroup_size: (compiled.subgroup_size > 0).then_some(compiled.subgroup_size),
            // Mesa counts Adreno's registers in vectors of four, and Apple's in halves.
            registers: first(&[("VGPRs", 1.0), ("Number of GPRs", 1.0), ("Registers used", 4.0), ("GPRs", 0.5)]),
            spills: sum(statistics, &["Spilled SGPRs", "Spilled VGPRs"]).or_else(|| {
                first(&[("Spills to memory", 1.0), ("STP Count", 1.0), ("Spills", 1.0), ("Spill count", 1.0)])
            }),
            scratch_bytes: first(&[
                ("Scratch size", 1.0),
                ("SLM size", 1.0),
                ("Scratch", 1.0),
                ("Scratch Memory Size", 1.0),
            ]),
            workgroup_bytes: first(&[("LDS size", 1.0), ("Workgroup Memory Size", 1.0)]),
            occupancy: first(&[
                ("Subgroups per SIMD", 1.0),
                ("Max warps/SM", 1.0),
                ("Max Waves Per Core", 1.0),
                ("Threads", 1.0),
            ]),
            instructions: first(&[("Instructions", 1.0), ("Instruction count", 1.0), ("Instruction Count", 1.0)]),
            hot_loop_fma_share: hot.map(|hot| hot.multiply_add_share()),
            waits_for_prefetch: hot.and_then(|hot| hot.waits_for_prefetch),
        }
    }
}

/// The sum of the statistics with these names; `None` if there are none.
fn sum(statistics: &[Statistic], names: &[&str]) -> Option<f64> {
    let found = statistics.iter().filter(|statistic| names.contains(&statistic.name.as_str()));
    found.map(|statistic| statistic.value).reduce(|a, b| a + b)
}

fn hot_loop(representations: &[Representation]) -> Option<HotLoop> {
    let mut listings = representations.iter().filter_map(|one| isa::read(&one.name, &one.text));
    listings.find_map(|lines| isa::hot_loop(&lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(statistics: &[(&str, f64)]) -> CompiledKernel {
        let statistic =
            |&(name, value): &(&str, f64)| Statistic { name: name.into(), description: String::new(), value };
        CompiledKernel { statistics: statistics.iter().map(statistic).collect(), ..CompiledKernel::default() }
    }

    #[test]
    fn each_drivers_names_are_known() {
        let spec = KernelSpec::exactly(crate::gpu::shaders::find("conv2d_gemm").unwrap()).constant("POINTWISE", 1);
        let of = |statistics: &[(&str, f64)]| {
            let r = KernelReport::new(&spec, &compiled(statistics)).figures;
            [r.registers, r.spills, r.scratch_bytes, r.workgroup_bytes, r.occupancy, r.instructions]
        };
        let amd = [
            ("SGPRs", 108.0),
            ("VGPRs", 84.0),
            ("Spilled SGPRs", 2.0),
            ("Spilled VGPRs", 1.0),
            ("LDS size", 8192.0),
            ("Scratch size", 16.0),
            ("Subgroups per SIMD", 16.0),
            ("Instructions", 1771.0),
        ];
        assert_eq!(of(&amd), [84.0, 3.0, 16.0, 8192.0, 16.0, 1771.0].map(Some));
        let nvidia = [
            ("Instruction count", 2400.0),
            ("Max warps/SM", 32.0),
            ("Spills to memory", 1.0),
            ("Spills to reg", 9.0),
            ("Number of GPRs", 64.0),
            ("SLM size", 8.0),
        ];
        assert_eq!(of(&nvidia), [Some(64.0), Some(1.0), Some(8.0), None, Some(32.0), Some(2400.0)]);
        let adreno =
            [("Max Waves Per Core", 8.0), ("Instruction Count", 2321.0), ("Registers used", 24.0), ("STP Count", 3.0)];
        assert_eq!(of(&adreno), [Some(96.0), Some(3.0), None, None, Some(8.0), Some(2321.0)]);
        let apple = [("Instructions", 2901.0), ("GPRs", 135.0), ("Scratch", 0.0), ("Threads", 768.0), ("Spills", 0.0)];
        assert_eq!(of(&apple), [Some(67.5), Some(0.0), Some(0.0), None, Some(768.0), Some(2901.0)]);
        assert_eq!(of(&[]), [None; 6]);
    }
}
