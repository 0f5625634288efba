//! Translates every shader with every specialisation to each backend's language, and compiles it with the installed compilers. This finds
//! kernels that can't run on Metal or DX12 on a machine that has neither, without a GPU.

mod gpus;
mod lists;
mod outcome;
mod tools;
mod translate;
pub mod vendors;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rayon::prelude::*;
use serde::Serialize;

use super::inspect::KernelName;
use crate::error::{Error, Result};
use crate::gpu::KernelSpec;
use crate::gpu::shaders::{self, Shader};
use crate::ops;
pub use gpus::{Tree, VendorGpu};
use lists::Job;
pub use outcome::Outcome;
pub use tools::{Limits, Tool, Tools};
pub use translate::Target;
use translate::Translation;
use vendors::VendorReport;

/// The results for all kernels.
#[derive(Debug, Clone, Serialize)]
pub struct OfflineReport {
    pub crate_version: String,
    pub tools: Vec<Tool>,
    pub kernels: Vec<KernelResult>,
    /// The results of the GPUs' compilers.
    pub vendors: VendorReport,
}

/// One kernel: a shader's entry point with its constants.
#[derive(Debug, Clone, Serialize)]
pub struct KernelResult {
    pub shader: String,
    pub entry: String,
    pub constants: BTreeMap<String, u32>,
    /// By target: `spirv`, `msl`, `hlsl`, `glsl`, `wgsl`.
    pub targets: BTreeMap<&'static str, Outcome>,
}

/// Every kernel that an operation can use: all entry points with all values that operations give their constants.
///
/// # Errors
/// A shader with a constant whose values [`ops::constant_values`] does not list.
pub fn specialisations() -> Result<Vec<KernelSpec>> {
    let mut specs = Vec::new();
    for shader in shaders::all() {
        for entry in shader.entry_points {
            specs.extend(specialise(shader, entry.name)?);
        }
    }
    Ok(specs)
}

/// The entry point with each combination of its constants' values.
fn specialise(shader: &Shader, entry: &'static str) -> Result<Vec<KernelSpec>> {
    let mut specs = vec![KernelSpec::exactly(shader).entry(entry)];
    for name in translate::constants(&shader.source)
        .map_err(|problem| Error::Mismatch(format!("{}: {problem}", shader.name)))?
    {
        let (name, values) = ops::constant_values(&name).ok_or_else(|| {
            Error::Mismatch(format!(
                "{}: no values are listed for the constant {name}; add it to ops::constant_values",
                shader.name
            ))
        })?;
        specs = specs
            .into_iter()
            .flat_map(|spec| values.iter().map(move |&value| spec.clone().constant(name, value)))
            .collect();
    }
    Ok(specs)
}

/// The [`specialisations`] whose name `wanted` accepts.
///
/// # Errors
/// Those of [`specialisations`].
pub fn chosen(wanted: &(dyn Fn(&str) -> bool + Sync)) -> Result<Vec<KernelSpec>> {
    Ok(specialisations()?.into_iter().filter(|spec| wanted(&name(spec))).collect())
}

/// Translates and compiles every kernel whose name `wanted` accepts. [`vendors::compile`] runs the vendors' compilers.
///
/// # Errors
/// See [`specialisations`]; and [`Error::Interrupted`] if the tools' limits say stop.
pub fn check(tools: &Tools, wanted: &(dyn Fn(&str) -> bool + Sync)) -> Result<OfflineReport> {
    let checked: Result<Vec<Checked>> = chosen(wanted)?
        .into_par_iter()
        .map(|spec| {
            if (tools.limits.stop)() {
                return Err(Error::Interrupted);
            }
            Ok(translated(tools, &spec.shader()?.source, &spec))
        })
        .collect();
    let kernels = compiled(tools, checked?);
    if (tools.limits.stop)() {
        return Err(Error::Interrupted);
    }
    let crate_version = env!("CARGO_PKG_VERSION").into();
    Ok(OfflineReport { crate_version, tools: tools.list(), kernels, vendors: VendorReport::default() })
}

/// Translates and compiles one kernel of the shader text `source`.
pub fn check_kernel(tools: &Tools, source: &str, spec: &KernelSpec) -> KernelResult {
    compiled(tools, vec![translated(tools, source, spec)]).remove(0)
}

/// Targets whose compilers may take lists of kernels, and how many they are given at once: DXC starts quickly enough for each core to have
/// its own.
const LISTS: [(Target, usize); 2] = [(Target::Hlsl, 8), (Target::Wgsl, usize::MAX)];

/// A result, and what is left for compilers of [`LISTS`].
struct Checked {
    result: KernelResult,
    left: BTreeMap<Target, Translation>,
}

impl Checked {
    /// What a compiler of lists has to do for `target`.
    fn job(&mut self, target: Target) -> Option<Job<'_>> {
        let Translation { bytes, entry } = self.left.remove(&target)?;
        let KernelResult { constants, targets, .. } = &mut self.result;
        Some(Job { text: String::from_utf8(bytes).ok()?, entry, constants, outcome: targets.get_mut(target.name())? })
    }
}

/// Translates one kernel, and compiles it with the tools that take one at a time.
fn translated(tools: &Tools, source: &str, spec: &KernelSpec) -> Checked {
    let constants: BTreeMap<String, u32> =
        spec.constants.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let valid = translate::read(source, spec);
    let mut left = BTreeMap::new();
    let mut outcome = |target: Target| {
        if let Some(reason) = target.lacks(source) {
            return Outcome::Skipped { reason };
        }
        match valid.as_ref().map_err(String::clone).and_then(|valid| valid.translate(target)) {
            Err(message) => Outcome::Failed { by: "naga".into(), message },
            Ok(translation) if tools.of_lists(target).is_some() => {
                left.insert(target, translation);
                Outcome::Translated
            }
            Ok(translation) => tools.compile(target, &translation, source),
        }
    };
    let targets = Target::ALL.into_iter().map(|target| (target.name(), outcome(target))).collect();
    let result = KernelResult { shader: spec.shader_name().into(), entry: spec.entry.into(), constants, targets };
    Checked { result, left }
}

/// The results, once the compilers of lists have seen what is left.
fn compiled(tools: &Tools, mut all: Vec<Checked>) -> Vec<KernelResult> {
    for (target, most) in LISTS {
        let Some(tool) = tools.of_lists(target) else { continue };
        let mut jobs: Vec<Job> = all.iter_mut().filter_map(|one| one.job(target)).collect();
        jobs.par_chunks_mut(most).for_each(|jobs| lists::compile(tool, tools.limits, jobs));
    }
    all.into_iter().map(|one| one.result).collect()
}

fn name(spec: &KernelSpec) -> String {
    KernelName::of(spec).to_string()
}

impl KernelResult {
    /// `SHADER ENTRY CONSTANT=VALUE …`, on one line.
    pub fn name(&self) -> String {
        let constants: String = self.constants.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        format!("{} {}{constants}", self.shader, self.entry)
    }
}

impl OfflineReport {
    /// What failed: kernel, target, tool, message.
    pub fn failures(&self) -> impl Iterator<Item = (String, &'static str, &str, &str)> {
        self.kernels.iter().flat_map(|kernel| {
            kernel.targets.iter().filter_map(move |(target, outcome)| {
                outcome.problem().map(|(by, message)| (kernel.name(), *target, by, message))
            })
        })
    }

    /// A table for a terminal: the tools, then a row for each kernel.
    pub fn table(&self) -> String {
        let mut out = String::new();
        for tool in &self.tools {
            let state = tool.problem.as_deref().or(tool.version.as_deref()).unwrap_or("not found");
            // Writing to a string can't fail, here and below.
            let _ = writeln!(out, "{:18} {:28} {state}", tool.name, tool.checks);
        }
        let _ =
            writeln!(out, "\n{:58} {:12} {:12} {:12} {:12} {:12}", "kernel", "SPIR-V", "MSL", "HLSL", "GLSL", "WGSL");
        for kernel in &self.kernels {
            let cell = |target: Target| match kernel.targets.get(target.name()) {
                Some(Outcome::Compiled { .. }) => "compiled",
                Some(Outcome::Translated) => "translated",
                Some(Outcome::Skipped { .. }) => "-",
                Some(Outcome::Failed { .. }) => "FAILED",
                Some(Outcome::Timeout { .. }) => "TIMEOUT",
                None => "",
            };
            let [spirv, msl, hlsl, glsl, wgsl] = Target::ALL.map(cell);
            let row = format!("{:58} {spirv:12} {msl:12} {hlsl:12} {glsl:12} {wgsl:12}", kernel.name());
            let _ = writeln!(out, "{}", row.trim_end());
        }
        for (kernel, target, by, message) in self.failures() {
            let _ = writeln!(out, "\n{kernel}: {target} refused by {by}: {}", message.trim());
        }
        out + &self.vendors.table()
    }

    /// # Errors
    /// [`Error::Mismatch`] if any kernel failed, or an installed tool could not be used; see also [`VendorReport::verdict`].
    pub fn verdict(&self, allow_unexpected_pass: bool) -> Result<()> {
        if let Some(problem) = self.tools.iter().find_map(|tool| tool.problem.as_deref()) {
            return Err(Error::Mismatch(format!("a shader compiler can't be used: {problem}")));
        }
        match self.failures().count() {
            0 if self.kernels.is_empty() => Err(Error::Usage("no kernel has such a name".into())),
            0 => self.vendors.verdict(allow_unexpected_pass),
            failed => Err(Error::Mismatch(format!(
                "{failed} translations of {} kernels failed; see the messages above",
                self.kernels.len()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_combined() {
        let specs = specialisations().unwrap();
        let gemm: Vec<_> = specs.iter().filter(|spec| spec.shader_name() == "conv2d_gemm").collect();
        assert!(gemm.len() >= 2 && gemm.iter().any(|spec| spec.constants.contains(&("POINTWISE", 1))));
        let unique: std::collections::HashSet<_> = specs.iter().collect();
        assert_eq!(unique.len(), specs.len());
    }

    /// The negative control: a broken shader fails, wherever it is broken.
    #[test]
    fn broken_shaders_fail() {
        let relu = shaders::find("relu").unwrap().source.as_str();
        let failed = |source: &str, entry: &'static str| -> Vec<&'static str> {
            let result =
                check_kernel(&Tools::none(), source, &KernelSpec::new(shaders::files::relu::FILE).entry(entry));
            let failed = result.targets.into_iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed { .. }));
            failed.map(|(target, _)| target).collect()
        };
        let all = ["glsl", "hlsl", "msl", "spirv", "wgsl"];
        assert!(failed(relu, "main").is_empty());
        assert_eq!(failed(relu, "other"), all);
        assert_eq!(failed(&relu.replace("return;", "return 1;"), "main"), all);
        // Valid for naga, but Metal has no doubles.
        let double = relu.replace("input[i])", "input[i]) * f32(f64(1.0) * f64(size4.x))");
        assert!(double != relu && failed(&double, "main").contains(&"msl"));
    }

    #[test]
    fn a_failure_is_a_mismatch() {
        let relu = shaders::find("relu").unwrap().source.as_str();
        let kernel = check_kernel(
            &Tools::none(),
            &relu.replace("input[i]", "inptu[i]"),
            &KernelSpec::new(shaders::files::relu::FILE),
        );
        let report = OfflineReport {
            crate_version: String::new(),
            tools: vec![],
            kernels: vec![kernel],
            vendors: VendorReport::default(),
        };
        assert_eq!(report.verdict(false).unwrap_err().exit_status(), 3);
        assert!(report.table().contains("FAILED") && report.table().contains("inptu"));
        assert!(check(&Tools::none(), &|_| false).unwrap().verdict(false).is_err(), "nothing checked is not a success");
    }
}
