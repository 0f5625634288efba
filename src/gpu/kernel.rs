//! A compiled compute pipeline and its reflected bindings.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;

use super::device::Device;
use super::pipeline_cache::PipelineCache;
use super::shaders::{BindingKind, Shader, flags, for_browsers};
use super::spec::KernelSpec;
use super::turns::Turned;
use crate::error::{Error, Result};

/// A pipeline that can be dispatched.
pub struct Kernel {
    pub(super) pipeline: Turned<wgpu::ComputePipeline>,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) bindings: &'static [(u32, BindingKind)],
    /// Name of the shader that it was made of: the spec's, or a form of it.
    pub(super) shader: &'static str,
}

/// Whether naga adds bounds checks to buffer accesses, and tests divisors for zero: on unless the shader's file says that its
/// accesses are proved, or the device's options say otherwise for all.
fn bounds_checks(device: &Device, shader: &Shader) -> bool {
    device.options.bounds_checks.unwrap_or(!shader.is_unchecked)
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

/// The source and constants of a kernel on one device.
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
        let asked = spec.shader()?;
        let shader = if spec.is_exact { asked } else { form(device, substitutes, asked) };
        let features = device.report.features;
        if shader.subgroups && !features.subgroups {
            return Err(Error::Gpu(format!("the kernel {} needs subgroups, which the adapter lacks", asked.name)));
        }
        let mut constants: Vec<_> = spec.constants.iter().map(|&(name, value)| (name, value.into())).collect();
        if shader.source.contains("override LANES:") && !spec.constants.iter().any(|(name, _)| *name == "LANES") {
            constants.push(("LANES", device.report.matrix_lanes().into()));
        }
        Ok(Self {
            constants,
            text: for_compiler(substitutes.get(shader.name).map_or(Cow::Borrowed(shader.source.as_str()), Cow::Owned)),
            shader: shader.name,
            bindings: entry.bindings,
            bounds_checks: bounds_checks(device, shader),
        })
    }
}

/// A shader's text as wgpu takes it: naga's here, the browser's compiler's in a page.
fn for_compiler(text: Cow<'static, str>) -> Cow<'static, str> {
    if cfg!(target_arch = "wasm32") { for_browsers(&text).into() } else { text }
}

/// The form of a shader for the device: the first of the device's flags that the file offers.
fn form(device: &Device, substitutes: &Substitutes, asked: &'static Shader) -> &'static Shader {
    let features = device.report.features;
    // Software drivers with 64-bit integers: they move a vector component by component, so that memory is accessed in fewer
    // pieces. What stands in for a shader's source does so in place of this form too.
    let is_own = substitutes.get(asked.name).is_none();
    let wide = features.int64 && device.report.kind == "cpu" && is_own;
    let wanted = [
        (features.emulated_matrices, flags::EMULATED),
        // Where the adapter has no matrices of 16x16x16.
        (!features.matrices_f16, flags::MATRICES_8X8),
        (device.report.loads_components() && is_own, flags::PAIRS),
        (wide, flags::WIDE),
    ];
    wanted.into_iter().find_map(|(wants, flag)| asked.form(flag).filter(|_| wants)).unwrap_or(asked)
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
        let label = Some(source.shader);
        let mut checks = wgpu::ShaderRuntimeChecks::checked();
        // Every loop of our shaders has a bound that does not depend on buffer contents.
        checks.force_loop_bounding = false;
        checks.bounds_checks = source.bounds_checks;
        // Such kernels divide by sizes, counts and strides only, none of which is zero. Tests for zero would cost registers on lavapipe.
        checks.int_div_checks = source.bounds_checks;
        // SAFETY: the sources are the crate's own; loops are finite, and the kernels compiled without bounds checks
        // are those whose tests surround every output with guard words and cover partial tiles.
        let module = unsafe {
            device.raw.create_shader_module_trusted(
                wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Wgsl(source.text.as_ref().into()) },
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
        let layout =
            device.raw.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &layout_entries });
        let pipeline_layout = device.raw.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let wanted = wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(device.entry_to_compile(spec.entry)),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &source.constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: pipelines.map(|pipelines| &pipelines.raw),
        };
        let pipeline = device.turns.make(|| device.raw.create_compute_pipeline(&wanted));
        device.check().map_err(|error| match error {
            Error::Gpu(why) => Error::Gpu(format!(
                "a kernel could not be compiled: {why}; update the driver, or take another --adapter or --backend (`gpu-resnet verify` \
                 says which kernels work)"
            )),
            other => other,
        })?;
        Ok(Self { pipeline, layout, bindings: source.bindings, shader: source.shader })
    }
}
