//! A compiled compute pipeline and its reflected bindings.

use std::borrow::Cow;

use super::device::Gpu;
use super::shaders::{self, BindingKind, EntryPoint};
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

/// A pipeline that can be dispatched.
pub struct Kernel {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) bindings: &'static [(u32, BindingKind)],
    /// Name of the shader that it was made of: the spec's, or a form of it.
    pub(super) shader: &'static str,
}

/// Whether naga adds bounds checks to buffer accesses, and tests divisors for zero: on unless the kernel is one whose accesses
/// are proved with guard words by its tests, or the device's options or `GPU_RESNET_BOUNDS_CHECKS=1` say otherwise for all.
fn bounds_checks(gpu: &Gpu, shader: &str) -> bool {
    let asked = std::env::var("GPU_RESNET_BOUNDS_CHECKS").is_ok_and(|v| v == "1").then_some(true);
    gpu.options.bounds_checks.or(asked).unwrap_or(!is_proved(shader))
}

/// Whether a shader runs without bounds checks: its tests surround every output with guard words.
pub(crate) fn is_proved(shader: &str) -> bool {
    ["conv2d", "winograd", "peak"].iter().any(|name| shader.starts_with(name))
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
    pub(super) fn of(gpu: &Gpu, spec: &KernelSpec) -> Result<Self> {
        let entry = spec.reflect()?;
        let form = |suffix| shaders::find(&format!("{}{suffix}", spec.shader));
        let emulated = if gpu.features().emulated_matrices { form("_emulated") } else { None };
        // Where the adapter has no matrices of 16x16x16.
        let eight = if gpu.features().matrices_f16 { None } else { form("_eight") };
        // What stands in for a shader's source does so in place of its wide form too.
        let software = gpu.features().int64 && gpu.report().kind == "cpu";
        let widens = spec.wide && software && gpu.substituted(spec.shader).is_none();
        let wide = if widens { form("_wide") } else { None };
        let shader = emulated.or(eight).or(wide).or_else(|| form(""));
        let shader = shader.ok_or_else(|| Error::Gpu(format!("no shader {}", spec.shader)))?;
        if shader.subgroups && !gpu.features().subgroups {
            return Err(Error::Gpu(format!("the kernel {} needs subgroups, which the adapter lacks", spec.shader)));
        }
        let mut constants: Vec<_> = spec.constants.iter().map(|&(name, value)| (name, value.into())).collect();
        if shader.source.contains("override LANES:") && !spec.constants.iter().any(|(name, _)| *name == "LANES") {
            constants.push(("LANES", gpu.report().matrix_lanes().into()));
        }
        Ok(Self {
            constants,
            text: gpu.substituted(shader.name).map_or(Cow::Borrowed(shader.source), Cow::Owned),
            shader: shader.name,
            bindings: entry.bindings,
            bounds_checks: bounds_checks(gpu, spec.shader),
        })
    }
}

impl Kernel {
    #[allow(unsafe_code)]
    pub(super) fn compile(gpu: &Gpu, spec: &KernelSpec) -> Result<Self> {
        let source = KernelSource::of(gpu, spec)?;
        let mut checks = wgpu::ShaderRuntimeChecks::checked();
        // Every loop of our shaders has a bound that does not depend on buffer contents.
        checks.force_loop_bounding = false;
        checks.bounds_checks = source.bounds_checks;
        // Sizes, counts and strides are what such kernels divide by: none is zero. The tests cost lavapipe's compiler registers.
        checks.int_div_checks = source.bounds_checks;
        // SAFETY: the sources are the crate's own; loops are finite, and the kernels compiled without bounds checks
        // are those whose tests surround every output with guard words and cover partial tiles.
        let module = unsafe {
            gpu.device.create_shader_module_trusted(
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
        let layout = gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(spec.shader),
            entries: &layout_entries,
        });
        let pipeline_layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(spec.shader),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(spec.shader),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(spec.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &source.constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: gpu.pipelines.as_ref().map(|pipelines| &pipelines.raw),
        });
        gpu.check()?;
        Ok(Self { pipeline, layout, bindings: source.bindings, shader: source.shader })
    }
}
