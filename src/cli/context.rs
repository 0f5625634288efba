//! What every command is given: the global options, the console, and what the user named.

use std::ffi::OsStr;
use std::sync::Arc;

use super::console::Console;
use super::environment;
use super::resume::NamedOptions;
use crate::error::Result;
use crate::gpu::{AdapterChoice, BackendName, Gpu};
use crate::ops::Precision;
use crate::runtime::{Runtime, Tuning, one_adapter};
use crate::weights::{FetchOptions, Weights};

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// Adapter to use: its number in `gpu-resnet devices`, or a part of its name; several (`0,1`, or the option again) share
    /// the images of infer, evaluate and finetune [env: GPU_RESNET_ADAPTER, WGPU_ADAPTER_NAME]
    #[arg(long, global = true, value_name = "N|NAME")]
    pub adapter: Vec<String>,
    /// Graphics interface to use [env: GPU_RESNET_BACKEND, WGPU_BACKEND]
    #[arg(long, global = true, value_enum)]
    pub backend: Option<BackendName>,
    /// How activations, their gradients and weights are stored for infer, evaluate, finetune, train, bench, kernels, tune and op;
    /// sums and the weights that are trained are f32
    #[arg(long, global = true, value_enum, default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Seed of everything random: initial weights, splits, orders
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Use no kernels that `tune` chose, but the defaults (GPU_RESNET_TUNE=off does the same)
    #[arg(long, global = true)]
    pub no_tuning: bool,
    /// Fetch nothing: weights and data by name must be in the cache already
    #[arg(long, global = true)]
    pub offline: bool,
    /// Say more on stderr
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What every command is given.
pub struct Context<'a> {
    pub global: &'a Global,
    pub console: &'a Console,
    /// The arguments that the user named.
    pub given: &'a NamedOptions,
    /// The kernels that its adapters use.
    pub tuning: &'a Arc<Tuning>,
}

impl Context<'_> {
    /// What the options say of adapters, precision and the network; it speaks through the console.
    pub fn runtime(&self) -> Runtime {
        Runtime {
            adapters: self.global.adapters(),
            precision: self.precision(),
            tuned: !self.global.no_tuning,
            tuning: self.tuning.clone(),
            offline: self.global.offline,
            reporter: Arc::new(self.console.clone()),
        }
    }

    /// Opens what `--weights` names; see [`Runtime::weights`].
    pub fn weights(&self, argument: Option<&OsStr>, key: Option<&str>) -> Result<Weights> {
        self.runtime().weights(argument, key)
    }

    /// Does something that may fetch the network or data set `name`, with a bar that shows it.
    pub fn fetching<T>(&self, name: &str, act: impl FnOnce(&FetchOptions) -> Result<T>) -> Result<T> {
        self.runtime().fetching(name, act)
    }

    /// How activations and weights are stored.
    pub fn precision(&self) -> Precision {
        self.global.precision
    }

    /// Refuses `--precision f16` for `what`, which has no kernels of it.
    pub fn f32_only(&self, what: &str) -> Result<()> {
        self.runtime().f32_only(what)
    }

    /// Opens the one adapter that the options name; plans on it use the kernels that were tuned for it.
    pub fn gpu(&self) -> Result<Arc<Gpu>> {
        self.runtime().gpu()
    }

    /// Opens the one adapter that the options name, to be used with the default kernels.
    pub fn gpu_untuned(&self) -> Result<Arc<Gpu>> {
        self.runtime().gpu_untuned()
    }
}

impl Global {
    /// The options, and from the environment the adapter and backend that they don't name.
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
            // `0,1` is two of them; a name may have a comma in it.
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
