//! An opened adapter: its device, its kernels, and when its work is submitted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::adapter::{self, AdapterChoice, AdapterReport, Capabilities};
use super::buffer::{Buffer, pad16};
use super::device::{Device, DeviceOptions};
use super::features::Features;
use super::kernel::Kernel;
use super::kernels::Kernels;
use super::scheduler::Scheduler;
use super::spec::KernelSpec;
use super::waiting::{map, mapped_bytes};
use crate::error::{Error, Result};

/// An opened adapter. All work of the crate goes through one of these.
pub struct Gpu {
    pub(super) device: Device,
    pub(super) kernels: Kernels,
    pub(super) scheduler: Scheduler,
    /// See [`Gpu::set_choices`].
    choices: OnceLock<HashMap<String, String>>,
    /// Wall time of the last run of a plan, from its first submit to its end, in seconds.
    pub(super) last_run: Mutex<f64>,
}

impl Gpu {
    /// Opens the adapter that `choice` names with all of its own limits.
    pub async fn open(choice: &AdapterChoice) -> Result<Arc<Self>> {
        Self::open_with(choice, &DeviceOptions::default()).await
    }

    /// [`Self::open`] with some abilities left unused.
    pub async fn open_with(choice: &AdapterChoice, options: &DeviceOptions) -> Result<Arc<Self>> {
        let device = Device::open(choice, options).await?;
        let kernels = Kernels::new(&device);
        // Starting guesses, replaced by what is measured: a software driver against hardware.
        let software = device.report.kind == "cpu" || options.as_cores.is_some();
        let scheduler = Scheduler::new(if software { 4e9 } else { 2e11 });
        Ok(Arc::new(Self { device, kernels, scheduler, choices: OnceLock::new(), last_run: Mutex::default() }))
    }

    /// What the adapter is and can do.
    pub fn report(&self) -> &AdapterReport {
        &self.device.report
    }

    /// How the device was opened.
    pub fn options(&self) -> &DeviceOptions {
        &self.device.options
    }

    /// The optional abilities of this device.
    pub fn features(&self) -> Features {
        self.device.report.features
    }

    /// All limits and features of the adapter, for reports.
    pub fn capabilities(&self) -> Capabilities {
        adapter::capabilities(&self.device.adapter)
    }

    /// Why the pipelines on disk were not used, if there are any that can't be.
    pub fn warning(&self) -> Option<&str> {
        self.kernels.warning()
    }

    /// Wall time that compiling kernels has taken so far. Some drivers put off a part of it until the first dispatch.
    pub fn compiling(&self) -> Duration {
        self.kernels.compiling()
    }

    /// Every kernel that has been compiled so far.
    pub fn compiled(&self) -> Vec<KernelSpec> {
        self.kernels.compiled()
    }

    /// Names of the shaders that those were made of, where a form of it may stand for what was asked for.
    pub fn compiled_shaders(&self) -> Vec<&'static str> {
        self.kernels.compiled_shaders()
    }

    /// The compiled kernel of `spec`; compiled at its first use and kept.
    pub fn kernel(&self, spec: &KernelSpec) -> Result<Arc<Kernel>> {
        self.kernels.kernel(&self.device, spec)
    }

    /// Compiles the shader `name` from `source` from now on, or, without one, from the crate's own text again. Entry points
    /// and bindings must stay. This is how `verify` breaks kernels on purpose.
    pub(crate) fn substitute(&self, name: &str, source: Option<String>) {
        self.kernels.substitute(name, source);
    }

    /// What stands in for the source of the shader `name`.
    pub(crate) fn substituted(&self, name: &str) -> Option<String> {
        self.kernels.substituted(name)
    }

    /// Writes the pipelines compiled so far to disk, if they are kept there.
    pub fn save_pipelines(&self) -> Result<()> {
        self.kernels.save()
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

    /// The first error that the driver reported since the last call, if any.
    pub fn check(&self) -> Result<()> {
        self.device.check()
    }

    /// A buffer of at least `bytes` bytes, zero-filled.
    pub fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        self.device.buffer_for(label, bytes, wgpu::BufferUsages::STORAGE)
    }

    /// A buffer that holds `data`, zero-padded to 16 bytes.
    pub fn upload<T: bytemuck::Pod>(&self, label: &str, data: &[T]) -> Result<Buffer> {
        let buffer = self.buffer(label, size_of_val(data) as u64)?;
        self.write(&buffer, data)?;
        Ok(buffer)
    }

    /// Copies `data` to the start of `buffer`; its size in bytes is rounded up to 4 with zeros.
    pub fn write<T: bytemuck::Pod>(&self, buffer: &Buffer, data: &[T]) -> Result<()> {
        self.device.write(buffer, data)
    }

    /// The first `count` elements of `buffer`, after all submitted work is done.
    pub async fn read<T: bytemuck::Pod>(&self, buffer: &Buffer, count: usize) -> Result<Vec<T>> {
        let wanted = (count * size_of::<T>()) as u64;
        if wanted > buffer.bytes() {
            return Err(Error::Gpu(format!("a read of {wanted} bytes from a buffer of {}", buffer.bytes())));
        }
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let size = pad16(wanted).min(buffer.bytes());
        let staging = self.device.raw.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.raw.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&buffer.raw, 0, &staging, 0, size);
        self.scheduler.submit_now(&self.device, encoder.finish());
        let mapped = map(&staging);
        self.scheduler.wait(&self.device).await?;
        let view = mapped_bytes(&self.device, &staging, mapped.await)?;
        let mut out = vec![T::zeroed(); count];
        bytemuck::cast_slice_mut::<T, u8>(&mut out).copy_from_slice(&view[..wanted as usize]);
        Ok(out)
    }

    /// Waits for all submitted work.
    pub async fn wait(&self) -> Result<()> {
        self.scheduler.wait(&self.device).await
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // A cache that can't be written costs time at the next start and nothing else.
        let _ = self.save_pipelines();
    }
}
