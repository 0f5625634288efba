//! What whole tasks run on: the adapters, the precision, whether tuned kernels are used, whether anything may be fetched, and
//! who receives messages. [`Runtime::default`] is the best adapter of the machine, f32, and silence.

mod adapter_remark;
mod devices;
mod reporter;
mod switches;
mod tuning;

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fmt::Display;
use std::sync::Arc;

use web_time::Instant;

use crate::cache::cache_dir;
use crate::error::{Error, Result};
use crate::gpu::{AdapterChoice, DeviceOptions, Gpu, block_on};
use crate::ops::Precision;
use crate::tune::first::Purpose;
use crate::weights::{FetchOptions, Weights, open_key};
pub use devices::{Device, Variant, devices};
pub use reporter::{Progress, Reporter, Silent, Unit};
pub use switches::{Switches, TunedKernels};
pub use tuning::Tuning;
use tuning::Wanted;

/// What a task runs on. A copy is cheap.
#[derive(Clone)]
pub struct Runtime {
    /// The adapters that share the work, at least one. An adapter that is named twice is opened twice.
    pub adapters: Vec<AdapterChoice>,
    /// How activations and weights are stored for inference.
    pub precision: Precision,
    /// Whether to use the kernels that `gpu-resnet tune` chose for the adapter, if any, and [`Switches::tuned`] leaves them on.
    pub tuned: bool,
    /// What its adapters are opened with.
    pub switches: Switches,
    /// The choices that its adapters use, shared by all clones.
    pub tuning: Arc<Tuning>,
    /// Whether to fetch nothing: named weights and data must be in the cache already.
    pub offline: bool,
    /// Receives messages and progress.
    pub reporter: Arc<dyn Reporter>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            adapters: vec![AdapterChoice::default()],
            precision: Precision::F32,
            tuned: true,
            switches: Switches::default(),
            tuning: Arc::default(),
            offline: false,
            reporter: Arc::new(Silent),
        }
    }
}

impl Runtime {
    pub(crate) fn note(&self, text: impl Display) {
        self.reporter.note(&text);
    }

    pub(crate) fn detail(&self, text: impl Display) {
        self.reporter.detail(&text);
    }

    pub(crate) fn complain(&self, text: impl Display) {
        self.reporter.complain(&text);
    }

    /// Progress over `total` images or steps.
    pub(crate) fn progress(&self, total: u64, what: &str) -> Box<dyn Progress> {
        self.reporter.progress(Some(total), Unit::Items, what)
    }

    /// Opens what `--weights` names, and fetches it first if necessary. If a file holds several networks, `key` names one.
    ///
    /// # Errors
    /// Weights that do not exist, can't be fetched or can't be read.
    pub fn weights(&self, argument: Option<&OsStr>, key: Option<&str>) -> Result<Weights> {
        self.fetching(&argument.unwrap_or_default().to_string_lossy(), |options| open_key(argument, key, options))
    }

    /// Runs something that may fetch the network or data set `name`, and shows the transfer.
    ///
    /// # Errors
    /// Those of `act`.
    pub fn fetching<T>(&self, name: &str, act: impl FnOnce(&FetchOptions) -> Result<T>) -> Result<T> {
        let transfer = OnceCell::new();
        let progress = |have: u64, total: Option<u64>| {
            let begin = || self.reporter.progress(total, Unit::Bytes, &format!("fetching {name}"));
            transfer.get_or_init(begin).set(have, total);
        };
        let notice = |text: &str| self.note(text);
        let options = FetchOptions {
            offline: self.offline,
            progress: Some(&progress),
            notice: Some(&notice),
            ..FetchOptions::from_env()
        };
        let result = act(&options);
        transfer.get().iter().for_each(|transfer| transfer.finish());
        result
    }

    /// Refuses f16 for `what`, which has no f16 kernels.
    #[cfg(feature = "cli")]
    pub(crate) fn f32_only(&self, what: &str) -> Result<()> {
        match self.precision {
            Precision::F32 => Ok(()),
            Precision::F16 => {
                Err(Error::Usage(format!("{what} has no kernels for --precision f16; leave it out or use f32")))
            }
        }
    }

    /// Opens the one adapter. Its plans use the kernels that were tuned for it.
    ///
    /// # Errors
    /// Several adapters, or none that fits.
    pub fn gpu(&self) -> Result<Arc<Gpu>> {
        block_on(self.open_tuned(one_adapter(&self.adapters)?, None))
    }

    /// The same for `purpose`: kernels that were not tuned yet are measured at the first use of the adapter.
    ///
    /// # Errors
    /// Several adapters, or none that fits.
    pub fn gpu_for(&self, purpose: &Purpose) -> Result<Arc<Gpu>> {
        block_on(self.gpu_for_async(purpose))
    }

    /// [`Self::gpu_for`] where nothing may block.
    ///
    /// # Errors
    /// Those of [`Self::gpu_for`].
    pub async fn gpu_for_async(&self, purpose: &Purpose<'_>) -> Result<Arc<Gpu>> {
        self.open_tuned(one_adapter(&self.adapters)?, Some(purpose)).await
    }

    /// Opens every adapter for `purpose`, in their order.
    ///
    /// # Errors
    /// An adapter that does not exist or can't be used.
    pub fn gpus_for(&self, purpose: &Purpose) -> Result<Vec<Arc<Gpu>>> {
        self.adapters.iter().map(|choice| block_on(self.open_tuned(choice, Some(purpose)))).collect()
    }

    /// Opens the one adapter with the default kernels.
    ///
    /// # Errors
    /// Several adapters, or none that fits.
    pub fn gpu_untuned(&self) -> Result<Arc<Gpu>> {
        block_on(self.open(one_adapter(&self.adapters)?))
    }

    async fn open_tuned(&self, choice: &AdapterChoice, purpose: Option<&Purpose<'_>>) -> Result<Arc<Gpu>> {
        let gpu = self.open(choice).await?;
        let wanted = Wanted { tuned: self.tuned, switches: self.switches, purpose, reporter: &*self.reporter };
        self.tuning.apply(&wanted, &gpu)?;
        Ok(gpu)
    }

    async fn open(&self, choice: &AdapterChoice) -> Result<Arc<Gpu>> {
        let started = Instant::now();
        let pipeline_cache = cache_dir().ok().map(|folder| folder.join("pipelines"));
        let options = self.switches.device_options(DeviceOptions { pipeline_cache, ..Default::default() });
        let gpu = Gpu::open_with(choice, &options).await?;
        if let Some(warning) = gpu.warning() {
            self.note(warning);
        }
        let report = gpu.report();
        self.switches.check(report)?;
        if choice.adapter.is_none() && choice.backend.is_none() {
            adapter_remark::remark(report).iter().for_each(|remark| self.note(remark));
        }
        let seconds = started.elapsed().as_secs_f64();
        let about = format!("adapter {}: {} ({})", report.index, report.name, report.driver_info);
        self.detail(format!("{about}, opened in {seconds:.2} s"));
        Ok(gpu)
    }
}

/// The one adapter of `adapters`; an error if there are several.
pub(crate) fn one_adapter(adapters: &[AdapterChoice]) -> Result<&AdapterChoice> {
    match adapters {
        [one] => Ok(one),
        _ => Err(Error::Usage(
            "several adapters share the images of infer, evaluate and of finetune's features; here give one --adapter"
                .into(),
        )),
    }
}
