//! The kernels that a device has compiled, each once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rayon::prelude::*;
use web_time::Instant;

use super::device::Device;
use super::kernel::{Kernel, KernelSource, Substitutes};
use super::pipeline_cache::PipelineCache;
use super::spec::KernelSpec;
use crate::error::{Error, Result};

/// Compiled kernels by what names them.
#[derive(Default)]
pub(super) struct Kernels {
    kernels: Mutex<HashMap<KernelSpec, Arc<Kernel>>>,
    pipelines: Option<PipelineCache>,
    warning: Option<String>,
    /// Wall time spent on compiling so far.
    compiling: Mutex<Duration>,
    substitutes: Substitutes,
}

impl Kernels {
    /// None yet; pipelines are kept on disk where the device's options name a folder and the driver hands them out.
    pub fn new(device: &Device) -> Self {
        let folder = device.options.pipeline_cache.as_ref().filter(|_| device.report.features.pipeline_cache);
        let info = device.adapter.get_info();
        let opened = folder.and_then(|folder| PipelineCache::open(&device.raw, &info, &device.report, folder));
        let (pipelines, warning) = opened.map_or((None, None), |(cache, warning)| (Some(cache), warning));
        Self { pipelines, warning, ..Self::default() }
    }

    /// Why the pipelines on disk were not used, if there are any that can't be.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Wall time that compiling has taken so far.
    pub fn compiling(&self) -> Duration {
        self.compiling.lock().map_or(Duration::ZERO, |time| *time)
    }

    /// Compiles the shader `name` from `source` from now on, or, without one, from the crate's own text again.
    pub fn substitute(&self, name: &str, source: Option<String>) {
        if let Ok(mut kernels) = self.kernels.lock() {
            // This also holds for a form that stands in for another.
            kernels.retain(|spec, kernel| spec.shader_name() != name && kernel.shader != name);
            self.substitutes.set(name, source);
        }
    }

    /// What stands in for the source of the shader `name`.
    pub fn substituted(&self, name: &str) -> Option<String> {
        self.substitutes.get(name)
    }

    /// What `spec` is compiled from.
    #[cfg_attr(target_arch = "wasm32", allow(dead_code))] // only Vulkan drivers are asked what they made of it
    pub fn source(&self, device: &Device, spec: &KernelSpec) -> Result<KernelSource> {
        KernelSource::of(device, &self.substitutes, spec)
    }

    /// Every kernel that has been compiled so far.
    pub fn compiled(&self) -> Vec<KernelSpec> {
        self.kernels.lock().map(|kernels| kernels.keys().cloned().collect()).unwrap_or_default()
    }

    /// Names of the shaders that those were made of, where a form of it may stand for what was asked for.
    pub fn compiled_shaders(&self) -> Vec<&'static str> {
        self.kernels.lock().map(|kernels| kernels.values().map(|kernel| kernel.shader).collect()).unwrap_or_default()
    }

    /// The compiled kernel of `spec`; compiled at its first use and kept.
    pub fn kernel(&self, device: &Device, spec: &KernelSpec) -> Result<Arc<Kernel>> {
        self.compile(device, [spec])?;
        let kernels = self.kernels.lock().ok();
        let kernel = kernels.as_ref().and_then(|kernels| kernels.get(spec));
        kernel.cloned().ok_or_else(|| Error::Gpu(format!("the kernel {} is gone", spec.name())))
    }

    /// Compiles those of `specs` that are not compiled yet, on all cores.
    pub fn compile<'a>(&self, device: &Device, specs: impl IntoIterator<Item = &'a KernelSpec>) -> Result<()> {
        let mut missing: HashSet<&KernelSpec> = specs.into_iter().collect();
        if let Ok(kernels) = self.kernels.lock() {
            missing.retain(|spec| !kernels.contains_key(spec));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        // A driver may report an error late, at another kernel, so one error invalidates all of them.
        let compiled: Vec<(KernelSpec, Arc<Kernel>)> = missing
            .into_par_iter()
            .map(|spec| {
                let kernel = Kernel::compile(device, &self.substitutes, self.pipelines.as_ref(), spec)?;
                Ok((spec.clone(), Arc::new(kernel)))
            })
            .collect::<Result<_>>()?;
        if let (Ok(mut kernels), Ok(mut time)) = (self.kernels.lock(), self.compiling.lock()) {
            kernels.extend(compiled);
            *time += started.elapsed();
        }
        Ok(())
    }

    /// Writes the pipelines compiled so far to disk, if they are kept there.
    pub fn save(&self) -> Result<()> {
        match &self.pipelines {
            Some(pipelines) if self.compiling() > Duration::ZERO => pipelines.save(),
            _ => Ok(()),
        }
    }
}
