//! Translates WGSL to a backend's language, by naga with wgpu's options.

use naga::back::pipeline_constants::process_overrides;
use naga::back::{PipelineConstants, glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage};

use crate::gpu::KernelSpec;
use crate::gpu::shaders::for_browsers;

/// A language that backends compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Vulkan.
    Spirv,
    /// Metal.
    Msl,
    /// DX12.
    Hlsl,
    /// GL.
    Glsl,
    /// WebGPU in a browser, whose compiler is not naga.
    Wgsl,
}

impl Target {
    pub const ALL: [Self; 5] = [Self::Spirv, Self::Msl, Self::Hlsl, Self::Glsl, Self::Wgsl];

    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spirv => "spirv",
            Self::Msl => "msl",
            Self::Hlsl => "hlsl",
            Self::Glsl => "glsl",
            Self::Wgsl => "wgsl",
        }
    }

    /// Why a shader never runs there: it needs something that wgpu does not offer on that backend.
    pub(super) fn lacks(self, source: &str) -> Option<String> {
        let needs = |part: &str| source.contains(part);
        match self {
            Self::Glsl | Self::Hlsl if needs("enable wgpu_cooperative_matrix;") => {
                Some(format!("{} has no cooperative matrices", if self == Self::Glsl { "GL" } else { "DX12" }))
            }
            Self::Glsl if needs("enable f16;") => Some("GL has no f16".into()),
            Self::Glsl if needs("subgroup_invocation_id") => Some("GL has no subgroup operations".into()),
            Self::Glsl if needs("u64") => Some("GL has no 64-bit integers".into()),
            Self::Wgsl if needs("enable wgpu_cooperative_matrix;") => {
                Some("browsers have none of wgpu's cooperative matrices".into())
            }
            Self::Wgsl if needs("u64") => Some("browsers have no 64-bit integers".into()),
            _ => None,
        }
    }
}

/// A kernel translated by naga.
pub(super) struct Translation {
    /// Text, or SPIR-V's words.
    pub bytes: Vec<u8>,
    /// The entry point's name there.
    pub entry: String,
}

/// The names of a shader's `override` constants.
pub(super) fn constants(source: &str) -> Result<Vec<String>, String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    Ok(module.overrides.iter().filter_map(|(_, constant)| constant.name.clone()).collect())
}

/// A kernel that naga accepts, with values in place of its constants.
pub(super) struct Valid<'a> {
    source: &'a str,
    module: Module,
    info: ModuleInfo,
    entry: &'static str,
    checks: BoundsCheckPolicies,
}

/// Reads the kernel `spec` of the shader text `source`.
pub(super) fn read<'a>(source: &'a str, spec: &KernelSpec) -> Result<Valid<'a>, String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| error.emit_to_string(source))?;
    let constants: PipelineConstants =
        spec.constants.iter().map(|&(name, value)| (name.to_owned(), f64::from(value))).collect();
    let stage = (ShaderStage::Compute, spec.entry);
    let (module, info) = process_overrides(&module, &info, Some(stage), &constants).map_err(|e| e.to_string())?;
    // As at run time: checks are off if the shader's file says so, and workgroup memory is not initialised.
    let unchecked = spec.shader().is_ok_and(|shader| shader.is_unchecked);
    let policy = if unchecked { BoundsCheckPolicy::Unchecked } else { BoundsCheckPolicy::Restrict };
    let checks = BoundsCheckPolicies { index: policy, buffer: policy, ..Default::default() };
    Ok(Valid { source, module: module.into_owned(), info: info.into_owned(), entry: spec.entry, checks })
}

impl Valid<'_> {
    /// The kernel in one language.
    pub(super) fn translate(&self, target: Target) -> Result<Translation, String> {
        let Self { source, ref module, ref info, entry, checks } = *self;
        match target {
            Target::Spirv => spirv(module, info, entry, checks),
            Target::Msl => metal(module, info, entry, checks),
            Target::Hlsl => direct_x(module, info, entry),
            Target::Glsl => gl(module, info, entry, checks),
            Target::Wgsl if module.entry_points.iter().any(|found| found.name == entry) => {
                Ok(Translation { bytes: for_browsers(source).into(), entry: entry.into() })
            }
            Target::Wgsl => Err(format!("it has no entry point {entry}")),
        }
    }
}

fn spirv(module: &Module, info: &ModuleInfo, entry: &str, checks: BoundsCheckPolicies) -> Result<Translation, String> {
    // The options of wgpu for Vulkan 1.1 and later.
    let options = spv::Options {
        lang_version: (1, 3),
        bounds_check_policies: checks,
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        ..Default::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry.into() };
    let words = spv::write_vec(module, info, &options, Some(&pipeline)).map_err(|error| error.to_string())?;
    Ok(Translation { bytes: words.iter().flat_map(|word| word.to_le_bytes()).collect(), entry: entry.into() })
}

fn metal(module: &Module, info: &ModuleInfo, entry: &str, checks: BoundsCheckPolicies) -> Result<Translation, String> {
    let options = msl::Options {
        lang_version: (2, 4),
        bounds_check_policies: checks,
        zero_initialize_workgroup_memory: false,
        ..Default::default()
    };
    let pipeline =
        msl::PipelineOptions { entry_point: Some((ShaderStage::Compute, entry.into())), ..Default::default() };
    let (text, translation) =
        msl::write_string(module, info, &options, &pipeline).map_err(|error| error.to_string())?;
    finish(text, translation.entry_point_names, "kernel void")
}

fn direct_x(module: &Module, info: &ModuleInfo, entry: &str) -> Result<Translation, String> {
    // The first shader model with f16; it is DXC's, as wave operations are.
    let options = hlsl::Options {
        shader_model: hlsl::ShaderModel::V6_2,
        zero_initialize_workgroup_memory: false,
        ..Default::default()
    };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, entry.into())) };
    let mut text = String::new();
    let reflection = hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(module, info, None)
        .map_err(|error| error.to_string())?;
    finish(text, reflection.entry_point_names, "numthreads")
}

fn gl(module: &Module, info: &ModuleInfo, entry: &str, checks: BoundsCheckPolicies) -> Result<Translation, String> {
    let options = glsl::Options { zero_initialize_workgroup_memory: false, ..Default::default() };
    let pipeline =
        glsl::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry.into(), multiview: None };
    let mut text = String::new();
    glsl::Writer::new(&mut text, module, info, &options, &pipeline, checks)
        .and_then(|mut writer| writer.write())
        .map_err(|error| error.to_string())?;
    finish(text, vec![Ok::<_, String>("main".into())], "local_size_x")
}

/// A text translation; an error if its entry point was not translated or it has no compute shader.
fn finish<E: std::fmt::Display>(
    text: String,
    names: Vec<Result<String, E>>,
    marker: &str,
) -> Result<Translation, String> {
    let mut entry = None;
    for name in names {
        entry = Some(name.map_err(|error| error.to_string())?);
    }
    if !text.contains(marker) {
        return Err(format!("the translation has no {marker:?}"));
    }
    let entry = entry.ok_or("the translation has no entry point")?;
    Ok(Translation { bytes: text.into_bytes(), entry })
}
