//! Which adapters the machine has, what each can do, and which one the user asked for.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The graphics interfaces that the crate runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum BackendName {
    Vulkan,
    Metal,
    Dx12,
    Gl,
    /// A browser's, which `--backend` can't name.
    #[cfg_attr(feature = "cli", value(skip))]
    WebGpu,
}

impl BackendName {
    fn of(backend: wgpu::Backend) -> Option<Self> {
        match backend {
            wgpu::Backend::Vulkan => Some(Self::Vulkan),
            wgpu::Backend::Metal => Some(Self::Metal),
            wgpu::Backend::Dx12 => Some(Self::Dx12),
            wgpu::Backend::Gl => Some(Self::Gl),
            wgpu::Backend::BrowserWebGpu => Some(Self::WebGpu),
            _ => None,
        }
    }

    fn bits(self) -> wgpu::Backends {
        match self {
            Self::Vulkan => wgpu::Backends::VULKAN,
            Self::Metal => wgpu::Backends::METAL,
            Self::Dx12 => wgpu::Backends::DX12,
            Self::Gl => wgpu::Backends::GL,
            Self::WebGpu => wgpu::Backends::BROWSER_WEBGPU,
        }
    }
}

/// Which adapter to use: by index in [`list_adapters`], by a part of its name, or the best one.
#[derive(Debug, Clone, Default)]
pub struct AdapterChoice {
    /// An index or a case-insensitive part of the adapter's or driver's name.
    pub adapter: Option<String>,
    pub backend: Option<BackendName>,
}

/// What an adapter is and can do; what `devices` prints and reports carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterReport {
    /// Position in the list of all adapters of the machine; what `--adapter N` takes.
    pub index: usize,
    pub name: String,
    pub backend: BackendName,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub kind: String,
    pub driver: String,
    pub driver_info: String,
    pub vendor: u32,
    pub device: u32,
    /// Smallest and largest number of invocations in a subgroup.
    pub subgroup_size: [u32; 2],
    pub max_buffer_bytes: u64,
    pub max_binding_bytes: u64,
    pub max_workgroups_per_dimension: u32,
    pub max_workgroup_memory_bytes: u32,
    pub max_invocations_per_workgroup: u32,
    pub features: super::features::Features,
    /// What shares the workgroups of a dispatch. Reports of earlier versions don't have it.
    #[serde(default)]
    pub cores: super::cores::Cores,
    /// Why the adapter can't run the crate's kernels, if it can't.
    pub unusable: Option<String>,
}

impl AdapterReport {
    /// Invocations of a subgroup that shares cooperative matrices; where the driver chooses among sizes, the largest, which is what
    /// RADV takes.
    pub fn matrix_lanes(&self) -> u32 {
        // wgpu says 4 to 64 of Metal; every Apple GPU has 32.
        if self.backend == BackendName::Metal { 32 } else { self.subgroup_size[1] }
    }

    /// Whether the driver loads each component of a vector in a storage buffer separately, and shaders have the 64-bit integers to
    /// halve the number of loads. NVK tests each load against the bounds, since wgpu requests `robustBufferAccess`. Kernels that have a form `NAME_pairs` use it.
    pub fn loads_components(&self) -> bool {
        self.driver == "NVK" && self.features.int64
    }

    /// Identifies the adapter and its driver: files that belong to one of them are named and checked by it.
    pub(crate) fn identity(&self) -> String {
        let Self { name, backend, driver, driver_info, vendor, device, .. } = self;
        format!("{name}\n{backend:?}\n{driver}\n{driver_info}\n{vendor}\n{device}")
    }
}

/// Further properties of an adapter, for reports to its vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Limits of compute work, by WebGPU's names.
    pub limits: BTreeMap<String, u64>,
    /// Names of all optional features, used here or not.
    pub features: Vec<String>,
    /// Shapes of cooperative matrices, as in `8x8x8 f16 f32`: M x N x K, type of A and B, type of the sum.
    pub cooperative_matrices: Vec<String>,
    /// On DX12, how the shader compiler is chosen; wgpu does not tell which it then used.
    pub dx12_compiler: Option<String>,
}

/// Storage buffers that the widest kernel binds.
const STORAGE_BUFFERS: u32 = 8;

pub(super) struct Found {
    pub adapter: wgpu::Adapter,
    pub report: AdapterReport,
}

#[cfg(not(target_arch = "wasm32"))]
async fn all_adapters(instance: &wgpu::Instance, backends: wgpu::Backends) -> Vec<wgpu::Adapter> {
    instance.enumerate_adapters(backends).await
}

/// A page gets one adapter: the strongest, if it asks for it.
#[cfg(target_arch = "wasm32")]
async fn all_adapters(instance: &wgpu::Instance, _: wgpu::Backends) -> Vec<wgpu::Adapter> {
    let power_preference = wgpu::PowerPreference::HighPerformance;
    let options = wgpu::RequestAdapterOptions { power_preference, ..Default::default() };
    instance.request_adapter(&options).await.into_iter().collect()
}

/// Every adapter of the machine: first those with hardware behind them, in the driver's order; then software drivers, what
/// is expected to be fastest first.
pub(super) async fn find(backend: Option<BackendName>) -> Vec<Found> {
    let backends = backend.map_or(wgpu::Backends::PRIMARY | wgpu::Backends::GL, BackendName::bits);
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = all_adapters(&instance, backends).await;
    adapters.sort_by_key(|adapter| {
        let info = adapter.get_info();
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        };
        // A driver's native interface comes before GL on top of it.
        (kind, info.backend == wgpu::Backend::Gl, software_rank(&info))
    });
    adapters
        .into_iter()
        .filter_map(|adapter| BackendName::of(adapter.get_info().backend).map(|backend| (adapter, backend)))
        .enumerate()
        .map(|(index, (adapter, backend))| Found { report: report(index, backend, &adapter), adapter })
        .collect()
}

/// Subgroups of eight have the fastest kernel that a software driver can run, and newer drivers are faster ones (lavapipe 25
/// runs it at ten times the speed of 22). Hardware stays in the driver's order.
fn software_rank(info: &wgpu::AdapterInfo) -> (bool, Reverse<Vec<u32>>) {
    if info.device_type != wgpu::DeviceType::Cpu {
        return Default::default();
    }
    let eight = (info.subgroup_min_size, info.subgroup_max_size) == (8, 8);
    (!eight, Reverse(version(&info.driver_info)))
}

/// The first dotted number of `text`, as in `Mesa 25.0.7-2 (LLVM 15.0.6)`; empty if there is none.
fn version(text: &str) -> Vec<u32> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    let mut dotted =
        words.filter(|word| word.contains('.')).map(|word| word.split('.').map_while(|n| n.parse().ok()).collect());
    dotted.next().unwrap_or_default()
}

fn report(index: usize, backend: BackendName, adapter: &wgpu::Adapter) -> AdapterReport {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let unusable = if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        Some("the driver has no compute shaders".to_owned())
    } else if limits.max_storage_buffers_per_shader_stage < STORAGE_BUFFERS {
        Some(format!(
            "kernels bind up to {STORAGE_BUFFERS} storage buffers and the driver allows {}",
            limits.max_storage_buffers_per_shader_stage
        ))
    } else if limits.max_compute_invocations_per_workgroup < 256 {
        Some(format!(
            "workgroups of 256 invocations are needed and the driver allows {}",
            limits.max_compute_invocations_per_workgroup
        ))
    } else {
        None
    };
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "cpu",
        wgpu::DeviceType::Other => "other",
    };
    AdapterReport {
        cores: super::cores::Cores::of(&info.name, kind),
        index,
        name: info.name,
        backend,
        kind: kind.into(),
        driver: info.driver,
        driver_info: info.driver_info,
        vendor: info.vendor,
        device: info.device,
        subgroup_size: [info.subgroup_min_size, info.subgroup_max_size],
        max_buffer_bytes: limits.max_buffer_size,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
        max_workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
        max_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
        features: super::features::Features::of(adapter, adapter.features()),
        unusable,
    }
}

/// All properties of `adapter`.
pub(super) fn capabilities(adapter: &wgpu::Adapter) -> Capabilities {
    let limits = adapter.limits();
    let matrices = adapter.cooperative_matrix_properties().into_iter().map(|p| {
        let (operand, sum) = (format!("{:?}", p.ab_type), format!("{:?}", p.cr_type));
        format!("{}x{}x{} {} {}", p.m_size, p.n_size, p.k_size, operand.to_lowercase(), sum.to_lowercase())
    });
    let mut features: Vec<String> = adapter.features().iter_names().map(|(name, _)| name.to_lowercase()).collect();
    features.sort();
    Capabilities {
        limits: [
            ("maxBufferSize", limits.max_buffer_size),
            ("maxStorageBufferBindingSize", limits.max_storage_buffer_binding_size),
            ("maxUniformBufferBindingSize", limits.max_uniform_buffer_binding_size),
            ("maxStorageBuffersPerShaderStage", limits.max_storage_buffers_per_shader_stage.into()),
            ("maxUniformBuffersPerShaderStage", limits.max_uniform_buffers_per_shader_stage.into()),
            ("maxBindingsPerBindGroup", limits.max_bindings_per_bind_group.into()),
            ("minStorageBufferOffsetAlignment", limits.min_storage_buffer_offset_alignment.into()),
            ("minUniformBufferOffsetAlignment", limits.min_uniform_buffer_offset_alignment.into()),
            ("maxComputeWorkgroupStorageSize", limits.max_compute_workgroup_storage_size.into()),
            ("maxComputeInvocationsPerWorkgroup", limits.max_compute_invocations_per_workgroup.into()),
            ("maxComputeWorkgroupSizeX", limits.max_compute_workgroup_size_x.into()),
            ("maxComputeWorkgroupSizeY", limits.max_compute_workgroup_size_y.into()),
            ("maxComputeWorkgroupSizeZ", limits.max_compute_workgroup_size_z.into()),
            ("maxComputeWorkgroupsPerDimension", limits.max_compute_workgroups_per_dimension.into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
        features,
        cooperative_matrices: matrices.collect(),
        dx12_compiler: (adapter.get_info().backend == wgpu::Backend::Dx12)
            .then(|| "auto (dxc if found, else fxc)".into()),
    }
}

/// Reports on every adapter of the machine.
pub async fn list_adapters(backend: Option<BackendName>) -> Vec<AdapterReport> {
    find(backend).await.into_iter().map(|found| found.report).collect()
}

/// The adapter that `choice` names, or the first usable one.
pub(super) async fn select(choice: &AdapterChoice) -> Result<Found> {
    let mut found = find(choice.backend).await;
    if found.is_empty() {
        let what = choice.backend.map_or("GPU".to_owned(), |b| format!("{b:?}"));
        return Err(Error::NoAdapter(format!(
            "no {what} adapter was found: install a Vulkan driver (on Debian `apt-get install mesa-vulkan-drivers` \
             gives a software one), or try another --backend"
        )));
    }
    let position = match &choice.adapter {
        None => found.iter().position(|f| f.report.unusable.is_none()),
        Some(wanted) => Some(position(&found, wanted)?),
    };
    let chosen = found.swap_remove(position.unwrap_or(0));
    match &chosen.report.unusable {
        None => Ok(chosen),
        Some(why) => Err(Error::NoAdapter(format!("the adapter {} can't be used: {why}", chosen.report.name))),
    }
}

fn position(found: &[Found], wanted: &str) -> Result<usize> {
    let by_index = wanted.parse::<usize>().ok().filter(|&index| index < found.len());
    let lower = wanted.to_lowercase();
    let by_name = || {
        found.iter().position(|f| {
            let r = &f.report;
            [&r.name, &r.driver, &r.driver_info].iter().any(|text| text.to_lowercase().contains(&lower))
        })
    };
    by_index.or_else(by_name).ok_or_else(|| {
        let names: Vec<String> = found.iter().map(|f| format!("{} {}", f.report.index, f.report.name)).collect();
        Error::NoAdapter(format!("no adapter matches {wanted:?}; there are: {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn newer_drivers_have_greater_versions() {
        assert_eq!(version("Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6)"), [25, 0, 7]);
        assert!(version("Mesa 25.0.7") > version("Mesa 22.3.6 (LLVM 15.0.6)"));
        assert!(version("Mesa 22.3.6") > version("SwiftShader driver"));
    }
}
