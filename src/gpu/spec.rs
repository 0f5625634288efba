//! Identifies a kernel: a shader file, its flags, an entry point and constants.

use super::shaders::{EntryPoint, Flags, Shader, ShaderFile};
use crate::error::{Error, Result};

/// Which file and flags, entry point and pipeline-overridable constants make a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KernelSpec {
    pub file: ShaderFile,
    pub flags: Flags,
    pub entry: &'static str,
    /// Values of `override` constants; all are integers or booleans (0 or 1).
    pub constants: Vec<(&'static str, u32)>,
    /// See [`Self::exactly`].
    pub is_exact: bool,
}

impl KernelSpec {
    /// The entry point `main` of the shader of `file` without flags, without constants. Where the file leaves the choice of a form to
    /// the device, the device's form runs.
    pub fn new(file: ShaderFile) -> Self {
        Self { file, flags: Flags::NONE, entry: "main", constants: Vec::new(), is_exact: false }
    }

    /// The entry point `main` of `shader` and of no other form of it.
    pub fn exactly(shader: &Shader) -> Self {
        Self { is_exact: true, ..Self::new(shader.file).with(shader.flags) }
    }

    /// The same with more flags.
    pub fn with(mut self, flags: Flags) -> Self {
        self.flags = self.flags.with(flags);
        self
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

    /// The shader, before the device picks a form of it.
    ///
    /// # Errors
    /// The file has none with these flags.
    pub fn shader(&self) -> Result<&'static Shader> {
        let none = || Error::Gpu(format!("{}.wgsl has no shader with the flags {}", self.file.name(), self.flags));
        self.file.shader(self.flags).ok_or_else(none)
    }

    /// Name of the shader; that of the file where it has none with these flags.
    pub fn shader_name(&self) -> &'static str {
        self.file.shader(self.flags).map_or(self.file.name(), |shader| shader.name)
    }

    /// The shader, and the entry point if it is not `main`: `conv2d_gemm`, `batch_norm.apply`.
    pub fn name(&self) -> String {
        let shader = self.shader_name();
        if self.entry == "main" { shader.to_owned() } else { format!("{shader}.{}", self.entry) }
    }

    /// The reflected entry point.
    ///
    /// # Errors
    /// There is no such shader, or it has no such entry point.
    pub fn reflect(&self) -> Result<&'static EntryPoint> {
        let shader = self.shader()?;
        let none = || Error::Gpu(format!("there is no kernel {} in {}", self.entry, shader.name));
        shader.entry_point(self.entry).ok_or_else(none)
    }
}

impl From<ShaderFile> for KernelSpec {
    fn from(file: ShaderFile) -> Self {
        Self::new(file)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shaders::files::{batch_norm, conv2d_gemm, relu};
    use super::*;

    #[test]
    fn a_kernel_is_named_after_its_shader_and_entry_point() {
        assert_eq!(KernelSpec::new(relu::FILE).with(relu::HALF).name(), "relu_f16");
        assert_eq!(KernelSpec::new(batch_norm::FILE).entry("apply").name(), "batch_norm.apply");
    }

    #[test]
    fn what_there_is_not_is_an_error() {
        let problem = KernelSpec::new(conv2d_gemm::FILE).with(conv2d_gemm::SPLIT).reflect().unwrap_err().to_string();
        assert!(problem.contains("conv2d_gemm.wgsl has no shader with the flags SPLIT"), "{problem}");
        let problem = KernelSpec::new(relu::FILE).entry("other").reflect().unwrap_err().to_string();
        assert!(problem.contains("no kernel other in relu"), "{problem}");
    }
}
