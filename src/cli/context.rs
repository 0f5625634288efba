//! What every command receives: the global options, the console, and the arguments that the user gave.

use std::ffi::OsStr;
use std::sync::Arc;

use super::console::Console;
use super::environment;
use super::resume::NamedOptions;
use crate::error::Result;
use crate::gpu::{AdapterChoice, BackendName, Fault, Gpu};
use crate::ops::Precision;
use crate::runtime::{Runtime, Switches, Tuning, one_adapter};
use crate::weights::{FetchOptions, Weights};

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// Adapter to use: its number in `gpu-resnet devices`, or a part of its name. Several (`0,1`, or the option repeated) share
    /// the images of infer, evaluate, train and finetune; each trains on --batch-size images of a step [env: GPU_RESNET_ADAPTER, WGPU_ADAPTER_NAME]
    #[arg(long, global = true, value_name = "N|NAME")]
    pub adapter: Vec<String>,
    /// Graphics interface to use [env: GPU_RESNET_BACKEND, WGPU_BACKEND]
    #[arg(long, global = true, value_enum)]
    pub backend: Option<BackendName>,
    /// Storage of activations, their gradients and weights in infer, evaluate, finetune, train, bench, kernels, tune and op;
    /// sums and trained weights stay f32
    #[arg(long, global = true, value_enum, default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Seed of everything random: initial weights, splits, order of images
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Use the default kernels instead of those that `tune` chose (GPU_RESNET_TUNE=off does the same)
    #[arg(long, global = true)]
    pub no_tuning: bool,
    /// Fetch nothing: named weights and data must be in the cache already
    #[arg(long, global = true)]
    pub offline: bool,
    /// Have something go wrong with each device, to see what becomes of the work: oom, lost, shader or hang, at the N-th allocation, submit,
    /// compiled kernel or wait
    #[arg(long, global = true, hide = true, value_name = "KIND@N[+]")]
    pub inject: Option<Fault>,
    /// Print more on stderr
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Print only errors on stderr
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What every command receives.
pub struct Context<'a> {
    pub global: &'a Global,
    pub console: &'a Console,
    /// The arguments that the user gave.
    pub given: &'a NamedOptions,
    /// What the environment asks for.
    pub switches: Switches,
    /// The kernels that the adapters use.
    pub tuning: &'a Arc<Tuning>,
}

impl Context<'_> {
    /// Adapters, precision and network as the options give them. Its messages go to the console.
    pub fn runtime(&self) -> Runtime {
        Runtime {
            adapters: self.global.adapters(),
            remote: None,
            precision: self.precision(),
            tuned: !self.global.no_tuning,
            switches: self.switches,
            tuning: self.tuning.clone(),
            offline: self.global.offline,
            reporter: Arc::new(self.console.clone()),
        }
    }

    /// Opens what `--weights` names; see [`Runtime::weights`].
    pub fn weights(&self, argument: Option<&OsStr>, key: Option<&str>) -> Result<Weights> {
        self.runtime().weights(argument, key)
    }

    /// Runs something that may fetch the network or data set `name`, with a progress bar.
    pub fn fetching<T>(&self, name: &str, act: impl FnOnce(&FetchOptions) -> Result<T>) -> Result<T> {
        self.runtime().fetching(name, act)
    }

    /// How activations and weights are stored.
    pub fn precision(&self) -> Precision {
        self.global.precision
    }

    /// Refuses `--precision f16` for `what`, which has no f16 kernels.
    pub fn f32_only(&self, what: &str) -> Result<()> {
        self.runtime().f32_only(what)
    }

    /// Opens the one adapter that the options name. Its plans use the kernels that were tuned for it.
    pub fn gpu(&self) -> Result<Arc<Gpu>> {
        self.runtime().gpu()
    }

    /// Opens the one adapter that the options name, with the default kernels.
    pub fn gpu_untuned(&self) -> Result<Arc<Gpu>> {
        self.runtime().gpu_untuned()
    }
}

impl Global {
    /// The options. The environment supplies the adapter and backend that they do not name.
    pub fn or_from(mut self, variable: &environment::Variables) -> Result<Self> {
        self.adapter.retain(|name| !name.trim().is_empty());
        if self.adapter.is_empty() {
            self.adapter.extend(environment::adapter(variable)?);
        }
        self.backend = match self.backend {
            Some(named) => Some(named),
            None => environment::backend(variable)?,
        };
        Ok(self)
    }

    /// The adapters that the options name, at least one.
    fn adapters(&self) -> Vec<AdapterChoice> {
        let choice = |adapter| AdapterChoice { adapter, backend: self.backend };
        if self.adapter.is_empty() {
            return vec![choice(None)];
        }
        let named = self.adapter.iter().flat_map(|text| {
            // `0,1` is two adapters; a name may contain a comma.
            let numbers = text.split(',').all(|part| part.trim().parse::<usize>().is_ok());
            if numbers { text.split(',').map(|part| part.trim().to_owned()).collect() } else { vec![text.clone()] }
        });
        named.map(|name| choice(Some(name))).collect()
    }

    /// The adapter that the options name; an error if they name several.
    pub fn adapter(&self) -> Result<AdapterChoice> {
        one_adapter(&self.adapters()).cloned()
    }
}
