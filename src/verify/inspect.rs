//! Compiles one kernel with the adapter's own compiler, and reports the result or why the adapter never runs it. Nothing is dispatched, so
//! a driver without its GPU suffices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::requirements::lacks;
use crate::bench::{Figures, KernelReport};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Inspector, KernelSpec, Representation, shaders};
use crate::ops;

/// A serialisable [`KernelSpec`], for pipes and files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelName {
    pub shader: String,
    pub entry: String,
    /// Values of its pipeline-overridable constants.
    pub constants: BTreeMap<String, u32>,
}

/// The result for a kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compilation {
    Compiled(Figures),
    /// The adapter never runs it, for this reason.
    Excluded(String),
    /// naga or the driver refused it.
    Failed(String),
}

impl KernelName {
    pub fn of(spec: &KernelSpec) -> Self {
        let constants = spec.constants.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        Self { shader: spec.shader_name().into(), entry: spec.entry.into(), constants }
    }

    /// # Errors
    /// An unknown shader, entry point or constant.
    pub fn spec(&self) -> Result<KernelSpec> {
        let unknown = || Error::Usage(format!("there is no kernel {self}"));
        let shader = shaders::find(&self.shader).ok_or_else(unknown)?;
        let entry = shader.entry_point(&self.entry).ok_or_else(unknown)?;
        let spec = KernelSpec::exactly(shader).entry(entry.name);
        self.constants.iter().try_fold(spec, |spec, (name, &value)| {
            let (name, _) = ops::constant_values(name).ok_or_else(unknown)?;
            Ok(spec.constant(name, value))
        })
    }
}

/// `SHADER ENTRY CONSTANT=VALUE …`
impl std::fmt::Display for KernelName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.shader, self.entry)?;
        self.constants.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// A message if the driver spills, uses scratch memory, or does not say; `None` if the kernel stays within its registers.
pub fn spill(figures: &Figures) -> Option<String> {
    let some = |value: Option<f64>| value.filter(|value| *value != 0.0);
    let Figures { spills, scratch_bytes, .. } = *figures;
    match (some(spills), some(scratch_bytes)) {
        (None, None) if spills.is_none() && scratch_bytes.is_none() => {
            Some("the driver does not say whether it spills".into())
        }
        (None, None) => None,
        (Some(spills), None) => Some(format!("{spills} registers or moves of them are spilled to memory")),
        (None, Some(bytes)) => Some(format!("it takes {bytes} bytes of scratch memory")),
        (Some(spills), Some(bytes)) => Some(format!(
            "{spills} registers or moves of them are spilled to memory, with {bytes} bytes of scratch memory"
        )),
    }
}

/// Why `gpu` never runs `spec`; `None` if it does.
pub fn excluded(gpu: &Gpu, spec: &KernelSpec) -> Option<String> {
    let shader = spec.shader().ok()?;
    lacks(gpu.report(), shader, shader.entry_point(spec.entry)?)
}

/// Compiles `spec` and reports what the driver says, with its representations. Not for kernels that are [`excluded`].
///
/// # Errors
/// What naga or the driver says if it does not compile.
pub fn report(gpu: &Gpu, inspector: &Inspector, spec: &KernelSpec) -> Result<(KernelReport, Vec<Representation>)> {
    let compiled = inspector.compile(gpu, spec)?;
    Ok((KernelReport::new(spec, &compiled), compiled.representations))
}

/// The result for `spec` on `gpu`.
pub(super) fn compile(gpu: &Gpu, inspector: &Inspector, spec: &KernelSpec) -> Compilation {
    match excluded(gpu, spec) {
        Some(reason) => Compilation::Excluded(reason),
        None => match report(gpu, inspector, spec) {
            Ok((report, _)) => Compilation::Compiled(report.figures),
            Err(error) => Compilation::Failed(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_comes_back_from_its_name() {
        let spec = KernelSpec::exactly(shaders::find("conv2d_gemm").unwrap()).constant("POINTWISE", 1);
        let name = KernelName::of(&spec);
        assert_eq!((name.spec().unwrap(), name.to_string().as_str()), (spec, "conv2d_gemm main POINTWISE=1"));
        for wrong in [
            KernelName { shader: "conv2d_".into(), ..name.clone() },
            KernelName { entry: "other".into(), ..name.clone() },
            KernelName { constants: [("POINT".to_owned(), 1)].into(), ..name.clone() },
        ] {
            assert!(wrong.spec().unwrap_err().to_string().contains("no kernel"), "{wrong}");
        }
    }

    #[test]
    fn a_spill_is_told_and_silence_is_no_pass() {
        let of = |spills, scratch_bytes| spill(&Figures { spills, scratch_bytes, ..Figures::default() });
        assert_eq!((of(Some(0.0), Some(0.0)), of(Some(0.0), None), of(None, Some(0.0))), (None, None, None));
        for (spills, scratch, part) in [
            (Some(3.0), None, "3 registers"),
            (Some(0.0), Some(16.0), "16 bytes of scratch"),
            (Some(2.0), Some(64.0), "64 bytes of scratch"),
            (None, None, "does not say"),
        ] {
            assert!(of(spills, scratch).is_some_and(|said| said.contains(part)), "{spills:?} {scratch:?}");
        }
    }
}
