//! A Vulkan driver's report on a compiled kernel: VK_KHR_pipeline_executable_properties.
//!
//! wgpu does not expose it, so the kernel is compiled again on a separate Vulkan device, from the SPIR-V that naga writes
//! with wgpu's options.

use super::opened::Gpu;
use super::spec::KernelSpec;
use crate::error::Result;

/// A number that the driver gives, under its own name.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistic {
    pub name: String,
    pub description: String,
    pub value: f64,
}

/// One form of the kernel that the driver shows: an intermediate representation, or the device's instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representation {
    pub name: String,
    pub text: String,
}

/// What the driver's compiler says of one kernel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CompiledKernel {
    /// Invocations of the subgroup that it was compiled for.
    pub subgroup_size: u32,
    pub statistics: Vec<Statistic>,
    pub representations: Vec<Representation>,
}

/// Compiles kernels in order to look at them. Only for Vulkan drivers that have the extension.
pub struct Inspector {
    #[cfg(any(target_os = "linux", target_os = "android", windows))]
    device: vulkan::Device,
}

impl Inspector {
    /// Opens `gpu`'s adapter a second time. The error says what the driver lacks.
    pub fn open(gpu: &Gpu) -> Result<Self, String> {
        #[cfg(any(target_os = "linux", target_os = "android", windows))]
        return vulkan::Device::open(gpu).map(|device| Self { device });
        #[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
        Err(format!("{}: kernels can be inspected through Vulkan drivers only", gpu.report().name))
    }

    /// Compiles `spec` as `gpu` does.
    ///
    /// # Errors
    /// What naga or the driver says if it does not compile.
    pub fn compile(&self, gpu: &Gpu, spec: &KernelSpec) -> Result<CompiledKernel> {
        #[cfg(any(target_os = "linux", target_os = "android", windows))]
        return self.device.compile(gpu, spec);
        #[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
        unreachable!("{} of {}: no inspector opens here", spec.name(), gpu.report().name)
    }
}

#[cfg(any(target_os = "linux", target_os = "android", windows))]
mod vulkan;
