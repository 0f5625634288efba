//! A compiled compute pipeline and its reflected bindings.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;

use super::device::Device;
use super::pipeline_cache::PipelineCache;
use super::shaders::{self, BindingKind, Shader};
use super::spec::KernelSpec;
use crate::error::{Error, Result};

/// A pipeline that can be dispatched.
pub struct Kernel {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) bindings: &'static [(u32, BindingKind)],
    /// Name of the shader that it was made of: the spec's, or a form of it.
    pub(super) shader: &'static str,
}

/// Whether naga adds bounds checks to buffer accesses, and tests divisors for zero: on unless the shader's file says that its
/// accesses are proved, or the device's options or `GPU_RESNET_BOUNDS_CHECKS=1` say otherwise for all.
fn bounds_checks(device: &Device, shader: &Shader) -> bool {
    let asked = std::env::var("GPU_RESNET_BOUNDS_CHECKS").is_ok_and(|v| v == "1").then_some(true);
    device.options.bounds_checks.or(asked).unwrap_or(!shader.is_unchecked)
}

/// Sources by the names of the shaders that they stand in for: how `verify` breaks kernels on purpose.
#[derive(Default)]
pub(super) struct Substitutes(Mutex<HashMap<String, String>>);

impl Substitutes {
    pub fn get(&self, shader: &str) -> Option<String> {
        self.0.lock().ok()?.get(shader).cloned()
    }

    /// Without a source the crate's own text counts again.
    pub fn set(&self, shader: &str, source: Option<String>) {
        if let Ok(mut substitutes) = self.0.lock() {
            match source {
                Some(source) => substitutes.insert(shader.to_owned(), source),
                None => substitutes.remove(shader),
            };
        }
    }
}

/// What a kernel is compiled from on one device.
pub(super) struct KernelSource {
    /// WGSL, its constants not yet overridden.
    pub text: Cow<'static, str>,
    /// Name of the shader: the spec's, or a form of it.
    pub shader: &'static str,
    pub bindings: &'static [(u32, BindingKind)],
    pub bounds_checks: bool,
    /// Values of `override` constants: the spec's, and those that the device gives.
    pub constants: Vec<(&'static str, f64)>,
}

impl KernelSource {
    pub fn of(device: &Device, substitutes: &Substitutes, spec: &KernelSpec) -> Result<Self> {
        let entry = spec.reflect()?;
        let features = device.report.features;
        let form = |suffix| shaders::find(&format!("{}{suffix}", spec.shader));
        let emulated = if features.emulated_matrices { form("_emulated") } else { None };
        // Where the adapter has no matrices of 16x16x16.
        let eight = if features.matrices_f16 { None } else { form("_eight") };
        // What stands in for a shader's source does so in place of its wide form too.
        let software = features.int64 && device.report.kind == "cpu";
        let widens = spec.wide && software && substitutes.get(spec.shader).is_none();
        let wide = if widens { form("_wide") } else { None };
        let paired = device.report.loads_components() && substitutes.get(spec.shader).is_none();
        let pairs = if paired { form("_pairs") } else { None };
        let shader = emulated.or(eight).or(wide).or(pairs).or_else(|| form(""));
        let shader = shader.ok_or_else(|| Error::Gpu(format!("no shader {}", spec.shader)))?;
        if shader.subgroups && !features.subgroups {
            return Err(Error::Gpu(format!("the kernel {} needs subgroups, which the adapter lacks", spec.shader)));
        }
        let mut constants: Vec<_> = spec.constants.iter().map(|&(name, value)| (name, value.into())).collect();
        if shader.source.contains("override LANES:") && !spec.constants.iter().any(|(name, _)| *name == "LANES") {
            constants.push(("LANES", device.report.matrix_lanes().into()));
        }
        Ok(Self {
            constants,
            text: substitutes.get(shader.name).map_or(Cow::Borrowed(shader.source), Cow::Owned),
            shader: shader.name,
            bindings: entry.bindings,
            bounds_checks: bounds_checks(device, shader),
        })
    }
}

impl Kernel {
    #[allow(unsafe_code)]
    pub(super) fn compile(
        device: &Device,
        substitutes: &Substitutes,
        pipelines: Option<&PipelineCache>,
        spec: &KernelSpec,
    ) -> Result<Self> {
        let source = KernelSource::of(device, substitutes, spec)?;
        let mut checks = wgpu::ShaderRuntimeChecks::checked();
        // Every loop of our shaders has a bound that does not depend on buffer contents.
        checks.force_loop_bounding = false;
        checks.bounds_checks = source.bounds_checks;
        // Sizes, counts and strides are what such kernels divide by: none is zero. The tests cost lavapipe's compiler registers.
        checks.int_div_checks = source.bounds_checks;
        // SAFETY: the sources are the crate's own; loops are finite, and the kernels compiled without bounds checks
        // are those whose tests surround every output with guard words and cover partial tiles.
        let module = unsafe {
            device.raw.create_shader_module_trusted(
                wgpu::ShaderModuleDescriptor {
                    label: Some(spec.shader),
                    source: wgpu::ShaderSource::Wgsl(source.text.as_ref().into()),
                },
                checks,
            )
        };
        let layout_entries: Vec<_> = source
            .bindings
            .iter()
            .map(|&(binding, kind)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match kind {
                        BindingKind::Uniform => wgpu::BufferBindingType::Uniform,
                        BindingKind::Read => wgpu::BufferBindingType::Storage { read_only: true },
                        BindingKind::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = device.raw.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(spec.shader),
            entries: &layout_entries,
        });
        let pipeline_layout = device.raw.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(spec.shader),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.raw.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(spec.shader),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(spec.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &source.constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: pipelines.map(|pipelines| &pipelines.raw),
        });
        device.check()?;
        Ok(Self { pipeline, layout, bindings: source.bindings, shader: source.shader })
    }
}
