//! The calls to Vulkan behind [`super::Inspector`].
#![allow(unsafe_code)] // Vulkan's interface; each block says why it is sound

use std::ffi::{CStr, CString, c_char};

use ash::{khr, vk};
use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};

use super::super::kernel::KernelSource;
use super::super::opened::Gpu;
use super::super::shaders::BindingKind;
use super::super::spec::KernelSpec;
use super::{CompiledKernel, Representation, Statistic};
use crate::error::{Error, Result};

const EXTENSION: &CStr = khr::pipeline_executable_properties::NAME;

/// A Vulkan device with the extension, of the same features as wgpu's.
pub(super) struct Device {
    raw: ash::Device,
    executables: khr::pipeline_executable_properties::Device,
    /// Keeps the instance that the device belongs to.
    _adapter: wgpu::Adapter,
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: every pipeline, layout and module is destroyed by the call that made it.
        unsafe { self.raw.destroy_device(None) };
    }
}

fn failed(what: &str, error: vk::Result) -> Error {
    Error::Gpu(format!("{what}: {error}"))
}

impl Device {
    pub(super) fn open(gpu: &Gpu) -> Result<Self, String> {
        let name = &gpu.report().name;
        // SAFETY: the adapter is only read.
        let adapter = unsafe { gpu.device.adapter.as_hal::<wgpu::hal::api::Vulkan>() }
            .ok_or_else(|| format!("{name}: kernels can be inspected through Vulkan drivers only"))?;
        let instance = adapter.shared_instance().raw_instance();
        let physical = adapter.raw_physical_device();
        // SAFETY: instance and physical device are the adapter's own and alive.
        let offered = unsafe { instance.enumerate_device_extension_properties(physical) }.unwrap_or_default();
        if !offered.iter().any(|offer| offer.extension_name_as_c_str() == Ok(EXTENSION)) {
            return Err(format!("{name}: the driver has no VK_KHR_pipeline_executable_properties"));
        }
        let features = gpu.device.raw.features();
        let mut extensions = adapter.required_device_extensions(features);
        extensions.push(EXTENSION);
        let names: Vec<*const c_char> = extensions.iter().map(|extension| extension.as_ptr()).collect();
        let mut enabled = adapter.physical_device_features(&extensions, features);
        let mut info =
            vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
        let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
        let create = vk::DeviceCreateInfo::default().queue_create_infos(&queues).enabled_extension_names(&names);
        let create = enabled.add_to_device_create(create).push_next(&mut info);
        // SAFETY: extensions and features are what wgpu itself asks of this adapter, and one more that it offers.
        let raw = unsafe { instance.create_device(physical, &create, None) }
            .map_err(|error| format!("{name}: could not be opened for inspection: {error}"))?;
        let executables = khr::pipeline_executable_properties::Device::new(instance, &raw);
        Ok(Self { raw, executables, _adapter: gpu.device.adapter.clone() })
    }

    pub(super) fn compile(&self, gpu: &Gpu, spec: &KernelSpec) -> Result<CompiledKernel> {
        let source = gpu.kernels.source(&gpu.device, spec)?;
        let words = spirv(&source, spec).map_err(|problem| Error::Gpu(format!("{}: {problem}", spec.name())))?;
        let bindings: Vec<_> = source
            .bindings
            .iter()
            .map(|&(binding, kind)| {
                vk::DescriptorSetLayoutBinding::default()
                    .binding(binding)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
                    .descriptor_type(match kind {
                        BindingKind::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
                        BindingKind::Read | BindingKind::ReadWrite => vk::DescriptorType::STORAGE_BUFFER,
                    })
            })
            .collect();
        let raw = &self.raw;
        // SAFETY: each object is made from live ones and destroyed below, in the reverse order, whatever happened between.
        unsafe {
            let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let set = raw.create_descriptor_set_layout(&set, None).map_err(|e| failed("a layout", e))?;
            let sets = [set];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = raw.create_pipeline_layout(&layout, None);
            let module = raw.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(&words), None);
            let compiled = match (layout, module) {
                (Ok(layout), Ok(module)) => self.pipeline(gpu, spec, layout, module),
                (Err(error), _) | (_, Err(error)) => Err(failed(&spec.name(), error)),
            };
            module.iter().for_each(|&module| raw.destroy_shader_module(module, None));
            layout.iter().for_each(|&layout| raw.destroy_pipeline_layout(layout, None));
            raw.destroy_descriptor_set_layout(set, None);
            compiled
        }
    }

    /// # Safety
    /// `layout` and `module` are this device's.
    unsafe fn pipeline(
        &self,
        gpu: &Gpu,
        spec: &KernelSpec,
        layout: vk::PipelineLayout,
        module: vk::ShaderModule,
    ) -> Result<CompiledKernel> {
        use vk::PipelineCreateFlags as Flags;
        let entry = CString::new(spec.entry).map_err(|_| Error::Gpu("an entry point's name has a zero".into()))?;
        // As wgpu does.
        let varying = match gpu.features().subgroups {
            true => vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE,
            false => vk::PipelineShaderStageCreateFlags::empty(),
        };
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .flags(varying)
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(&entry);
        let create = vk::ComputePipelineCreateInfo::default()
            .flags(Flags::CAPTURE_STATISTICS_KHR | Flags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR)
            .stage(stage)
            .layout(layout);
        // SAFETY: the caller's promise, and the pipeline is destroyed after the last question about it.
        unsafe {
            let made = self.raw.create_compute_pipelines(vk::PipelineCache::null(), &[create], None);
            let pipeline = made.map_err(|(_, error)| failed(&spec.name(), error))?[0];
            let compiled = self.ask(pipeline);
            self.raw.destroy_pipeline(pipeline, None);
            compiled.map_err(|error| failed(&spec.name(), error))
        }
    }

    /// # Safety
    /// `pipeline` is this device's and was made with both capture flags.
    unsafe fn ask(&self, pipeline: vk::Pipeline) -> Result<CompiledKernel, vk::Result> {
        let mut compiled = CompiledKernel::default();
        let info = vk::PipelineInfoKHR::default().pipeline(pipeline);
        // SAFETY: the caller's promise.
        let parts = unsafe { self.executables.get_pipeline_executable_properties(&info) }?;
        for (index, part) in (0..).zip(&parts) {
            compiled.subgroup_size = part.subgroup_size;
            let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(index);
            // SAFETY: as above; the index is one of those that were listed.
            let statistics = unsafe { self.executables.get_pipeline_executable_statistics(&executable) }?;
            compiled.statistics.extend(statistics.iter().map(|statistic| Statistic {
                name: text(&statistic.name),
                description: text(&statistic.description),
                value: value(statistic),
            }));
            // SAFETY: as above.
            compiled.representations.extend(unsafe { self.representations(&executable) }?);
        }
        Ok(compiled)
    }

    /// # Safety
    /// `executable` is of a live pipeline of this device.
    unsafe fn representations(
        &self,
        executable: &vk::PipelineExecutableInfoKHR,
    ) -> Result<Vec<Representation>, vk::Result> {
        let get = self.executables.fp().get_pipeline_executable_internal_representations_khr;
        let handle = self.executables.device();
        let mut count = 0;
        // SAFETY: without an array the call only counts.
        unsafe { get(handle, executable, &mut count, std::ptr::null_mut()) }.result()?;
        let mut found = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
        // SAFETY: the array has room for what was counted; without data the call says the sizes.
        unsafe { get(handle, executable, &mut count, found.as_mut_ptr()) }.result()?;
        let mut texts: Vec<Vec<u8>> = found.iter().map(|one| vec![0; one.data_size]).collect();
        for (one, text) in found.iter_mut().zip(&mut texts) {
            one.p_data = text.as_mut_ptr().cast();
        }
        // SAFETY: every text has room for the size that was said.
        unsafe { get(handle, executable, &mut count, found.as_mut_ptr()) }.result()?;
        let named = found.iter().zip(texts).filter(|(one, _)| one.is_text == vk::TRUE);
        Ok(named
            .map(|(one, bytes)| {
                let bytes = &bytes[..one.data_size.min(bytes.len())];
                let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                Representation { name: text(&one.name), text: String::from_utf8_lossy(&bytes[..end]).into_owned() }
            })
            .collect())
    }
}

fn text(bytes: &[c_char]) -> String {
    let bytes: Vec<u8> = bytes.iter().take_while(|&&byte| byte != 0).map(|&byte| byte as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn value(statistic: &vk::PipelineExecutableStatisticKHR) -> f64 {
    use vk::PipelineExecutableStatisticFormatKHR as Format;
    // SAFETY: the format says which member the driver wrote; all bits are a value of each.
    unsafe {
        match statistic.format {
            Format::BOOL32 => f64::from(statistic.value.b32),
            Format::INT64 => statistic.value.i64 as f64,
            Format::UINT64 => statistic.value.u64 as f64,
            _ => statistic.value.f64,
        }
    }
}

/// The kernel in SPIR-V, with wgpu's options.
fn spirv(source: &KernelSource, spec: &KernelSpec) -> Result<Vec<u32>, String> {
    let module = naga::front::wgsl::parse_str(&source.text).map_err(|error| error.emit_to_string(&source.text))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| error.emit_to_string(&source.text))?;
    let constants = source.constants.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let stage = (naga::ShaderStage::Compute, spec.entry);
    let (module, info) = naga::back::pipeline_constants::process_overrides(&module, &info, Some(stage), &constants)
        .map_err(|error| error.to_string())?;
    let policy = if source.bounds_checks { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
    let options = spv::Options {
        lang_version: (1, 3),
        bounds_check_policies: BoundsCheckPolicies { index: policy, buffer: policy, ..Default::default() },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: source.bounds_checks,
        ..Default::default()
    };
    let pipeline =
        spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: spec.entry.to_owned() };
    spv::write_vec(&module, &info, &options, Some(&pipeline)).map_err(|error| error.to_string())
}
