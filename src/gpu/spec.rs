//! What names a kernel: shader, entry point and constants.

use super::shaders::{self, EntryPoint};
use crate::error::{Error, Result};

/// Which shader, entry point and pipeline-overridable constants make a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KernelSpec {
    pub shader: &'static str,
    pub entry: &'static str,
    /// Values of `override` constants; all are integers or booleans (0 or 1).
    pub constants: Vec<(&'static str, u32)>,
    /// See [`Self::or_wide`].
    pub wide: bool,
}

impl KernelSpec {
    /// The entry point `main` of `shader` without constants.
    pub fn new(shader: &'static str) -> Self {
        Self { shader, entry: "main", constants: Vec::new(), wide: false }
    }

    /// The same with another entry point.
    pub fn entry(mut self, entry: &'static str) -> Self {
        self.entry = entry;
        self
    }

    /// The same with one more constant.
    pub fn constant(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, value));
        self
    }

    /// The same, by the shader `NAME_wide` on software drivers with 64-bit integers: they move a vector component by
    /// component, so that it accesses memory in fewer pieces.
    pub fn or_wide(mut self) -> Self {
        self.wide = true;
        self
    }

    /// The shader, and the entry point if it is not `main`: `conv2d_gemm`, `batch_norm.apply`.
    pub fn name(&self) -> String {
        if self.entry == "main" { self.shader.to_owned() } else { format!("{}.{}", self.shader, self.entry) }
    }

    /// The reflected entry point; an error if the crate has no such shader.
    pub fn reflect(&self) -> Result<&'static EntryPoint> {
        shaders::find(self.shader)
            .and_then(|shader| shader.entry_point(self.entry))
            .ok_or_else(|| Error::Gpu(format!("there is no kernel {} in {}.wgsl", self.entry, self.shader)))
    }
}
