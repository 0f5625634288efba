//! An opened device: its buffers, and the errors that drivers report asynchronously.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::adapter::{self, AdapterChoice, AdapterReport};
use super::browser::BrowserAdapter;
use super::buffer::{Buffer, pad16};
use super::cores::{CoreSource, Cores};
use super::features::{FeatureName, Features, MATRICES};
use super::injected::{Fault, FaultKind, Injected};
use super::turns::{Turned, Turns};
use crate::error::{Error, Result};

/// What the driver reported outside of a call: the first error, and whether the device is gone.
#[derive(Default)]
struct DeviceErrors {
    error: Mutex<Option<Error>>,
    lost: Mutex<Option<String>>,
}

impl DeviceErrors {
    fn note(&self, error: wgpu::Error) {
        let error = match error {
            wgpu::Error::OutOfMemory { .. } => {
                Error::OutOfMemory("the driver could not allocate a buffer; use a smaller --batch-size".into())
            }
            wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                Error::Gpu(without_headings(&description))
            }
        };
        if let Ok(mut first) = self.error.lock() {
            first.get_or_insert(error);
        }
    }

    fn note_lost(&self, why: String) {
        if let Ok(mut lost) = self.lost.lock() {
            lost.get_or_insert(why);
        }
    }
}

/// What wgpu says over several lines, the outermost call first.
fn without_headings(description: &str) -> String {
    let text = description.trim_start().strip_prefix("Validation Error").unwrap_or(description);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "Caused by:");
    lines.collect::<Vec<_>>().join(": ")
}

/// Options for opening a device.
#[derive(Debug, Clone, Default)]
pub struct DeviceOptions {
    /// Abilities to do without, as if the adapter lacked them.
    pub disabled: Vec<FeatureName>,
    /// Whether buffer accesses are checked in every kernel or in none; by default in all but those that are proved.
    pub bounds_checks: Option<bool>,
    /// The algorithm or kernel for every convolution that it supports, by name ([`Conv2dSwitch`](crate::ops::Conv2dSwitch)); an unknown name has
    /// no effect.
    pub conv2d: Option<&'static str>,
    /// The folder that compiled pipelines are kept in between processes, if they are.
    pub pipeline_cache: Option<PathBuf>,
    /// Emulates cooperative matrices by plain arithmetic, so that the rest of their kernels can be tested on adapters that have
    /// none.
    pub emulated_matrices: bool,
    /// Treats a software driver as a discrete GPU with this many cores, so that the choices for one can be run without it.
    pub as_cores: Option<u32>,
    /// In a browser: what it says of its adapter.
    pub browser: Option<BrowserAdapter>,
    /// Treats the adapter as this one, which is not there: recordings for it can be inspected but not run.
    pub as_adapter: Option<Box<AdapterReport>>,
    /// What is to go wrong with the device, and when, to see what becomes of the work.
    pub fault: Option<Fault>,
}

/// wgpu's device and queue, and what was asked for when they were opened.
pub(super) struct Device {
    pub raw: wgpu::Device,
    pub queue: wgpu::Queue,
    pub adapter: wgpu::Adapter,
    pub report: AdapterReport,
    pub options: DeviceOptions,
    pub injected: Injected,
    pub turns: Turns,
    errors: Arc<DeviceErrors>,
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

impl Device {
    /// Opens the adapter that `choice` names with all of its own limits.
    pub async fn open(choice: &AdapterChoice, options: &DeviceOptions) -> Result<Self> {
        let mut found = adapter::select(choice).await?;
        let used = FeatureName::ALL.iter().filter(|name| !options.disabled.contains(name));
        let used = used.map(|name| name.bits()).fold(wgpu::Features::empty(), |all, one| all | one);
        let mut wanted = found.adapter.features() & used;
        let (device, queue) = loop {
            match request(&found.adapter, wanted).await {
                Ok(opened) => break opened,
                // Experimental features are left out if they prevent opening.
                Err(_) if wanted.contains(MATRICES) => wanted.remove(MATRICES),
                Err(e) => {
                    let problem = format!("the adapter {} could not be opened: {e}", found.report.name);
                    return Err(Error::NoAdapter(problem));
                }
            }
        };
        found.report.features = Features::of(&found.adapter, wanted);
        if let Some(browser) = &options.browser {
            browser.complete(&mut found.report);
        }
        if options.emulated_matrices {
            let features = &mut found.report.features;
            (features.matrices_f32, features.matrices_f16, features.emulated_matrices) = (true, features.f16, true);
        }
        if let Some(count) = options.as_cores {
            found.report.kind = "discrete".into();
            found.report.cores = Cores { count, by: CoreSource::Guess };
        }
        let turns = Turns::new(found.report.backend);
        if let Some(report) = &options.as_adapter {
            found.report = AdapterReport::clone(report);
        }
        let errors = Arc::new(DeviceErrors::default());
        Self::note_errors(&device, &errors);
        let (options, injected) = (options.clone(), Injected::new(options.fault));
        Ok(Self { raw: device, queue, adapter: found.adapter, report: found.report, options, injected, turns, errors })
    }

    /// Has wgpu write what goes wrong outside of a call into `errors`.
    fn note_errors(device: &wgpu::Device, errors: &Arc<DeviceErrors>) {
        let noted = errors.clone();
        device.on_uncaptured_error(Arc::new(move |error| noted.note(error)));
        let noted = errors.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                noted.note_lost(format!("{message} (driver reset or removal; try again, or a smaller --batch-size)"));
            }
        });
    }

    /// Notes an error as if the driver had reported it.
    pub fn note(&self, error: wgpu::Error) {
        self.errors.note(error);
    }

    /// Notes that the device is gone; nothing more is asked of it.
    pub fn note_lost(&self, why: impl Into<String>) {
        self.errors.note_lost(why.into());
    }

    /// Whether the device is gone.
    pub fn is_lost(&self) -> bool {
        self.errors.lost.lock().is_ok_and(|lost| lost.is_some())
    }

    /// The first error that the driver reported since the last call, if any.
    pub fn check(&self) -> Result<()> {
        if let Ok(lost) = self.errors.lost.lock()
            && let Some(message) = lost.as_ref()
        {
            return Err(Error::DeviceLost(message.clone()));
        }
        match self.errors.error.lock().ok().and_then(|mut first| first.take()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
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
        let raw = self.raw_buffer(label, bytes, usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC)?;
        Ok(Buffer { raw, bytes })
    }

    /// A buffer that is copied into and then mapped.
    pub fn staging(&self, bytes: u64) -> Result<Turned<wgpu::Buffer>> {
        self.raw_buffer("read-back", bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
    }

    fn raw_buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Turned<wgpu::Buffer>> {
        let size = self.size_to_ask_for(bytes);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let raw = self.turns.make(|| self.raw.create_buffer(&descriptor));
        self.check()?;
        Ok(raw)
    }

    /// `bytes`, or a size that the driver refuses if memory is to run out now.
    fn size_to_ask_for(&self, bytes: u64) -> u64 {
        if !self.injected.strikes(FaultKind::OutOfMemory) {
            return bytes;
        }
        self.note(wgpu::Error::OutOfMemory { source: "injected".into() });
        // wgpu makes a buffer that can't be used, as it does when the driver has no memory.
        u64::MAX - 3
    }

    /// Loses the device if it is to be lost with the next submit.
    pub fn before_submit(&self) {
        if self.injected.strikes(FaultKind::Lost) {
            self.note_lost("injected; try again, or use a smaller --batch-size");
            self.raw.destroy();
        }
    }

    /// `entry`, or an entry point that is not there if the compiler is to fail now.
    pub fn entry_to_compile<'a>(&self, entry: &'a str) -> &'a str {
        if !self.injected.strikes(FaultKind::Shader) {
            return entry;
        }
        self.note(wgpu::Error::Internal { source: "injected".into(), description: "injected".into() });
        "injected"
    }

    /// Copies `data` to the start of `buffer`; its size in bytes is rounded up to 4 with zeros.
    pub fn write<T: bytemuck::Pod>(&self, buffer: &Buffer, data: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(data);
        if bytes.len() as u64 > buffer.bytes {
            return Err(Error::Gpu(format!("a write of {} bytes into a buffer of {}", bytes.len(), buffer.bytes)));
        }
        let _turn = self.turns.take();
        if bytes.len().is_multiple_of(4) {
            self.queue.write_buffer(&buffer.raw, 0, bytes);
        } else {
            let mut padded = bytes.to_vec();
            padded.resize(bytes.len().next_multiple_of(4), 0);
            self.queue.write_buffer(&buffer.raw, 0, &padded);
        }
        self.check()
    }
}
