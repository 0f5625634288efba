//! An opened device: buffers, uploads, read-backs, and the errors that drivers report late.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::adapter::{self, AdapterChoice, AdapterReport, Capabilities};
use super::flight::Outstanding;
use super::kernel::{Kernel, KernelSpec};
use super::pipeline_cache::PipelineCache;
use super::recording::pad16;
use crate::error::{Error, Result};

const MATRICES: wgpu::Features = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;

/// Optional abilities that make faster kernel variants; the default f32 path needs none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Features {
    pub f16: bool,
    pub subgroups: bool,
    pub timestamps: bool,
    pub pipeline_cache: bool,
    /// 64-bit integers in shaders.
    #[serde(default)]
    pub int64: bool,
    /// Cooperative matrices of 8x8x8 f32.
    #[serde(default)]
    pub matrices_f32: bool,
    /// Cooperative matrices of 16x16x16 f16 with f32 sums.
    #[serde(default)]
    pub matrices_f16: bool,
    /// Plain arithmetic stands in for cooperative matrices; see [`DeviceOptions::emulated_matrices`].
    #[serde(default)]
    pub emulated_matrices: bool,
}

impl Features {
    /// Those among `features` of `adapter`.
    pub(super) fn of(adapter: &wgpu::Adapter, features: wgpu::Features) -> Self {
        use wgpu::CooperativeScalarType::{F16, F32};
        let matrices = |side, operands| {
            features.contains(MATRICES)
                && adapter
                    .cooperative_matrix_properties()
                    .iter()
                    .any(|p| [p.m_size, p.n_size, p.k_size] == [side; 3] && (p.ab_type, p.cr_type) == (operands, F32))
        };
        Self {
            matrices_f32: matrices(8, F32),
            matrices_f16: matrices(16, F16) && features.contains(wgpu::Features::SHADER_F16),
            emulated_matrices: false,
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            pipeline_cache: features.contains(wgpu::Features::PIPELINE_CACHE),
            int64: features.contains(wgpu::Features::SHADER_INT64),
        }
    }
}

/// What the driver reported outside of a call: the first error, and whether the device is gone.
#[derive(Default)]
struct Trouble {
    error: Mutex<Option<Error>>,
    lost: Mutex<Option<String>>,
}

/// An opened adapter. All work of the crate goes through one of these.
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    report: AdapterReport,
    pub(super) adapter: wgpu::Adapter,
    trouble: Arc<Trouble>,
    pub(super) options: DeviceOptions,
    kernels: Mutex<HashMap<KernelSpec, Arc<Kernel>>>,
    pub(super) pipelines: Option<PipelineCache>,
    warning: Option<String>,
    /// Wall time spent on compiling so far.
    compiling: Mutex<Duration>,
    /// Sources that stand in for the crate's own; see [`Gpu::substitute`].
    substitutes: Mutex<HashMap<String, String>>,
    /// See [`Gpu::set_choices`].
    choices: OnceLock<HashMap<String, String>>,
    /// Wall time of the last run of a plan, from its first submit to its end, in seconds.
    pub(super) last_run: Mutex<f64>,
    pub(super) outstanding: Mutex<Outstanding>,
    /// Held for reading by whoever submits or waits, for writing by whoever only looks whether a submit is done: wgpu 30 panics
    /// if a wait that runs out of time meets another thread's that doesn't.
    pub(super) polling: RwLock<()>,
    /// Measured throughput in cost units per second; bounds the work of one submit.
    pub(super) rate: Mutex<f64>,
}

/// An optional ability that can be left unused, to bisect a driver bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum FeatureName {
    F16,
    Subgroups,
    Timestamps,
    PipelineCache,
    Int64,
    CooperativeMatrices,
}

impl FeatureName {
    const ALL: [Self; 6] =
        [Self::F16, Self::Subgroups, Self::Timestamps, Self::PipelineCache, Self::Int64, Self::CooperativeMatrices];

    fn bits(self) -> wgpu::Features {
        match self {
            Self::F16 => wgpu::Features::SHADER_F16,
            Self::Subgroups => wgpu::Features::SUBGROUP,
            Self::Timestamps => wgpu::Features::TIMESTAMP_QUERY,
            Self::PipelineCache => wgpu::Features::PIPELINE_CACHE,
            Self::Int64 => wgpu::Features::SHADER_INT64,
            Self::CooperativeMatrices => MATRICES,
        }
    }
}

/// How to open a device other than in the usual way.
#[derive(Debug, Clone, Default)]
pub struct DeviceOptions {
    /// Abilities to do without, as if the adapter lacked them.
    pub disabled: Vec<FeatureName>,
    /// Whether buffer accesses are checked in every kernel or in none; by default in all but those that are proved.
    pub bounds_checks: Option<bool>,
    /// The folder that compiled pipelines are kept in between processes, if they are.
    pub pipeline_cache: Option<PathBuf>,
    /// Plain arithmetic stands in for cooperative matrices, so that all else of their kernels can be tried on adapters that have
    /// none.
    pub emulated_matrices: bool,
}

/// A GPU buffer of 4-byte elements, padded to 16 bytes.
#[derive(Debug)]
pub struct Buffer {
    pub(super) raw: wgpu::Buffer,
    bytes: u64,
}

impl Buffer {
    /// Size in bytes, padding included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Asks for a device with these features and all of the adapter's own limits.
#[allow(unsafe_code)]
async fn request(
    adapter: &wgpu::Adapter,
    features: wgpu::Features,
) -> Result<(wgpu::Device, wgpu::Queue), wgpu::RequestDeviceError> {
    let experimental_features = if features.contains(MATRICES) {
        // SAFETY: cooperative matrices are the one experimental feature that is asked for; the kernel that uses them loads
        // and stores whole matrices inside of its own workgroup memory.
        unsafe { wgpu::ExperimentalFeatures::enabled() }
    } else {
        wgpu::ExperimentalFeatures::disabled()
    };
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("gpu-resnet"),
        required_features: features,
        required_limits: adapter.limits(),
        experimental_features,
        ..Default::default()
    };
    adapter.request_device(&descriptor).await
}

impl Gpu {
    /// Opens the adapter that `choice` names with all of its own limits.
    pub fn open(choice: &AdapterChoice) -> Result<Arc<Self>> {
        Self::open_with(choice, &DeviceOptions::default())
    }

    /// [`Self::open`] with some abilities left unused.
    pub fn open_with(choice: &AdapterChoice, options: &DeviceOptions) -> Result<Arc<Self>> {
        let mut found = adapter::select(choice)?;
        let used = FeatureName::ALL.iter().filter(|name| !options.disabled.contains(name));
        let used = used.map(|name| name.bits()).fold(wgpu::Features::empty(), |all, one| all | one);
        let mut wanted = found.adapter.features() & used;
        let (device, queue) = loop {
            match pollster::block_on(request(&found.adapter, wanted)) {
                Ok(opened) => break opened,
                // What is experimental is done without where it is in the way.
                Err(_) if wanted.contains(MATRICES) => wanted.remove(MATRICES),
                Err(e) => {
                    let problem = format!("the adapter {} could not be opened: {e}", found.report.name);
                    return Err(Error::NoAdapter(problem));
                }
            }
        };
        found.report.features = Features::of(&found.adapter, wanted);
        if options.emulated_matrices {
            let features = &mut found.report.features;
            (features.matrices_f32, features.matrices_f16, features.emulated_matrices) = (true, features.f16, true);
        }
        let trouble = Arc::new(Trouble::default());
        let noted = trouble.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            let error = match error {
                wgpu::Error::OutOfMemory { .. } => {
                    Error::OutOfMemory("the driver could not allocate a buffer; use a smaller --batch-size".into())
                }
                wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                    Error::Gpu(description)
                }
            };
            if let Ok(mut first) = noted.error.lock() {
                first.get_or_insert(error);
            }
        }));
        let noted = trouble.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed
                && let Ok(mut lost) = noted.lost.lock()
            {
                lost.get_or_insert(format!(
                    "{message} (driver reset or removal; try again, or a smaller --batch-size)"
                ));
            }
        });
        let info = found.adapter.get_info();
        let folder = options.pipeline_cache.as_ref().filter(|_| wanted.contains(wgpu::Features::PIPELINE_CACHE));
        let opened = folder.and_then(|folder| PipelineCache::open(&device, &info, &found.report, folder));
        let (pipelines, warning) = opened.map_or((None, None), |(cache, warning)| (Some(cache), warning));
        // Starting guesses, replaced by what is measured: a software driver against hardware.
        let rate = if found.report.kind == "cpu" { 4e9 } else { 2e11 };
        Ok(Arc::new(Self {
            device,
            queue,
            adapter: found.adapter,
            report: found.report,
            trouble,
            options: options.clone(),
            kernels: Mutex::default(),
            pipelines,
            warning,
            compiling: Mutex::default(),
            substitutes: Mutex::default(),
            choices: OnceLock::new(),
            last_run: Mutex::default(),
            outstanding: Mutex::default(),
            polling: RwLock::default(),
            rate: Mutex::new(rate),
        }))
    }

    /// What the adapter is and can do.
    pub fn report(&self) -> &AdapterReport {
        &self.report
    }

    /// Why the pipelines on disk were not used, if there are any that can't be.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Wall time that compiling kernels has taken so far. Some drivers put off a part of it until the first dispatch.
    pub fn compiling(&self) -> Duration {
        self.compiling.lock().map_or(Duration::ZERO, |time| *time)
    }

    /// All limits and features of the adapter, for reports.
    pub fn capabilities(&self) -> Capabilities {
        adapter::capabilities(&self.adapter)
    }

    /// The optional abilities of this device.
    pub fn features(&self) -> Features {
        self.report.features
    }

    /// Seconds that the last run of a plan took, from its first submit to its end.
    pub fn last_run_seconds(&self) -> f64 {
        self.last_run.lock().map_or(0.0, |seconds| *seconds)
    }

    /// What was found best for operations on this adapter: names of algorithms by keys, both the operations' own. The first
    /// call counts; plans that are made after it follow the choices.
    pub fn set_choices(&self, choices: HashMap<String, String>) {
        let _ = self.choices.set(choices);
    }

    /// The choice under `key`, if there is one.
    pub fn choice(&self, key: &str) -> Option<&str> {
        self.choices.get()?.get(key).map(String::as_str)
    }

    /// Compiles the shader `name` from `source` from now on, or, without one, from the crate's own text again. Entry points
    /// and bindings must stay. This is how `verify` breaks kernels on purpose.
    pub(crate) fn substitute(&self, name: &str, source: Option<String>) {
        if let (Ok(mut substitutes), Ok(mut kernels)) = (self.substitutes.lock(), self.kernels.lock()) {
            kernels.retain(|spec, _| spec.shader != name);
            match source {
                Some(source) => substitutes.insert(name.to_owned(), source),
                None => substitutes.remove(name),
            };
        }
    }

    /// What stands in for the source of the shader `name`.
    pub(crate) fn substituted(&self, name: &str) -> Option<String> {
        self.substitutes.lock().ok()?.get(name).cloned()
    }

    /// The first error that the driver reported since the last call, if any.
    pub fn check(&self) -> Result<()> {
        if let Ok(lost) = self.trouble.lost.lock()
            && let Some(message) = lost.as_ref()
        {
            return Err(Error::DeviceLost(message.clone()));
        }
        match self.trouble.error.lock().ok().and_then(|mut first| first.take()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// A buffer of at least `bytes` bytes, zero-filled.
    pub fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        self.buffer_for(label, bytes, wgpu::BufferUsages::STORAGE)
    }

    pub(super) fn buffer_for(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Buffer> {
        let bytes = pad16(bytes.max(16));
        let most = self.report.max_buffer_bytes.min(match usage {
            wgpu::BufferUsages::STORAGE => self.report.max_binding_bytes,
            _ => u64::MAX,
        });
        if bytes > most {
            return Err(Error::OutOfMemory(format!(
                "{label} needs {bytes} bytes and the adapter binds at most {most}; use a smaller --batch-size"
            )));
        }
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage: usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        self.check()?;
        Ok(Buffer { raw, bytes })
    }

    /// A buffer that holds `data`, zero-padded to 16 bytes.
    pub fn upload<T: bytemuck::Pod>(&self, label: &str, data: &[T]) -> Result<Buffer> {
        let buffer = self.buffer(label, size_of_val(data) as u64)?;
        self.write(&buffer, data)?;
        Ok(buffer)
    }

    /// Copies `data` to the start of `buffer`; its size in bytes is rounded up to 4 with zeros.
    pub fn write<T: bytemuck::Pod>(&self, buffer: &Buffer, data: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(data);
        if bytes.len() as u64 > buffer.bytes {
            return Err(Error::Gpu(format!("a write of {} bytes into a buffer of {}", bytes.len(), buffer.bytes)));
        }
        if bytes.len().is_multiple_of(4) {
            self.queue.write_buffer(&buffer.raw, 0, bytes);
        } else {
            let mut padded = bytes.to_vec();
            padded.resize(bytes.len().next_multiple_of(4), 0);
            self.queue.write_buffer(&buffer.raw, 0, &padded);
        }
        self.check()
    }

    /// The first `count` elements of `buffer`, after all submitted work is done.
    pub fn read<T: bytemuck::Pod>(&self, buffer: &Buffer, count: usize) -> Result<Vec<T>> {
        let wanted = (count * size_of::<T>()) as u64;
        if wanted > buffer.bytes {
            return Err(Error::Gpu(format!("a read of {wanted} bytes from a buffer of {}", buffer.bytes)));
        }
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let size = pad16(wanted).min(buffer.bytes);
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&buffer.raw, 0, &staging, 0, size);
        self.submit_now(encoder.finish());
        let (sender, receiver) = std::sync::mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
        self.wait()?;
        match receiver.recv() {
            Ok(Ok(())) => {}
            _ => return Err(self.check().err().unwrap_or(Error::Gpu("a read-back could not be mapped".into()))),
        }
        let view =
            staging.get_mapped_range(..).map_err(|e| Error::Gpu(format!("a read-back could not be mapped: {e}")))?;
        let mut out = vec![T::zeroed(); count];
        bytemuck::cast_slice_mut::<T, u8>(&mut out).copy_from_slice(&view[..wanted as usize]);
        Ok(out)
    }

    /// Waits for all submitted work.
    pub fn wait(&self) -> Result<()> {
        let _polling = self.polling.read();
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        polled.map(drop).map_err(|e| Error::Gpu(format!("waiting for the device failed: {e}")))
    }

    /// Every kernel that has been compiled so far.
    pub fn compiled(&self) -> Vec<KernelSpec> {
        self.kernels.lock().map(|kernels| kernels.keys().cloned().collect()).unwrap_or_default()
    }

    /// Names of the shaders that those were made of, where a form such as `NAME_wide` may stand for what was asked for.
    pub fn compiled_shaders(&self) -> Vec<&'static str> {
        self.kernels.lock().map(|kernels| kernels.values().map(|kernel| kernel.shader).collect()).unwrap_or_default()
    }

    /// The compiled kernel of `spec`; compiled at its first use and kept.
    pub fn kernel(&self, spec: &KernelSpec) -> Result<Arc<Kernel>> {
        self.compile([spec])?;
        let kernels = self.kernels.lock().ok();
        let kernel = kernels.as_ref().and_then(|kernels| kernels.get(spec));
        kernel.cloned().ok_or_else(|| Error::Gpu(format!("the kernel {} is gone", spec.name())))
    }

    /// Compiles those of `specs` that are not compiled yet, on all cores.
    pub(super) fn compile<'a>(&self, specs: impl IntoIterator<Item = &'a KernelSpec>) -> Result<()> {
        let mut missing: HashSet<&KernelSpec> = specs.into_iter().collect();
        if let Ok(kernels) = self.kernels.lock() {
            missing.retain(|spec| !kernels.contains_key(spec));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        // An error that the driver reports late may come up in another kernel's place, so one spoils all of them.
        let compiled: Vec<(KernelSpec, Arc<Kernel>)> = missing
            .into_par_iter()
            .map(|spec| Ok((spec.clone(), Arc::new(Kernel::compile(self, spec)?))))
            .collect::<Result<_>>()?;
        if let (Ok(mut kernels), Ok(mut time)) = (self.kernels.lock(), self.compiling.lock()) {
            kernels.extend(compiled);
            *time += started.elapsed();
        }
        Ok(())
    }

    /// Writes the pipelines compiled so far to disk, if they are kept there.
    pub fn save_pipelines(&self) -> Result<()> {
        match &self.pipelines {
            Some(pipelines) if self.compiling() > Duration::ZERO => pipelines.save(),
            _ => Ok(()),
        }
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // A cache that can't be written costs time at the next start and nothing else.
        let _ = self.save_pipelines();
    }
}
