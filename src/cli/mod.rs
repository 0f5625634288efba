//! The command line: global options, one thin file per command, and what they share.

mod adapter_remark;
mod batches;
mod bench;
mod confusion;
mod console;
mod data;
mod devices;
mod environment;
mod evaluate;
mod features;
mod finetune;
mod finite;
mod grad_cam;
mod gradients;
mod infer;
mod kernels;
mod model;
mod network;
mod op;
mod output_name;
mod probabilities;
mod results;
mod resume;
mod run_report;
mod sets;
mod shell;
mod signals;
mod sitting;
mod train;
mod training;
mod tune;
mod tuning;
mod verify;
mod weights;

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cache::cache_dir;
use crate::error::{Error, Result};
use crate::gpu::{AdapterChoice, BackendName, DeviceOptions, Gpu};
use crate::ops::Precision;
use crate::tune::first::Purpose;
use crate::weights::{FetchOptions, Weights};
pub use console::{Console, say};
use resume::Given;
use tuning::Tuning;

/// ResNet inference and fine-tuning on any GPU, with no CUDA and no Python.
#[derive(Debug, Parser)]
#[command(name = "gpu-resnet", version, about, propagate_version = true)]
#[command(after_help = "Example:\n  gpu-resnet infer photo.jpg\n  gpu-resnet finetune photos/ --output runs/mine")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// Adapter to use: its number in `gpu-resnet devices`, or a part of its name; several (`0,1`, or the option again) share
    /// the images of infer, evaluate and finetune [env: GPU_RESNET_ADAPTER, WGPU_ADAPTER_NAME]
    #[arg(long, global = true, value_name = "N|NAME")]
    adapter: Vec<String>,
    /// Graphics interface to use [env: GPU_RESNET_BACKEND, WGPU_BACKEND]
    #[arg(long, global = true, value_enum)]
    backend: Option<BackendName>,
    /// How activations, their gradients and weights are stored for infer, evaluate, finetune, train, bench, kernels, tune and op;
    /// sums and the weights that are trained are f32
    #[arg(long, global = true, value_enum, default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Seed of everything random: initial weights, splits, orders
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Use no kernels that `tune` chose, but the defaults (GPU_RESNET_TUNE=off does the same)
    #[arg(long, global = true)]
    no_tuning: bool,
    /// Fetch nothing: weights and data by name must be in the cache already
    #[arg(long, global = true)]
    offline: bool,
    /// Say more on stderr
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Classify images
    Infer(infer::InferArgs),
    /// Train a pretrained network for your own classes
    Finetune(finetune::FinetuneArgs),
    /// Train a network from scratch
    Train(train::TrainArgs),
    /// Measure a network's accuracy on labelled images
    Evaluate(evaluate::EvaluateArgs),
    /// List adapters, drivers, limits and what each can run
    Devices(devices::DevicesArgs),
    /// Compute the loss and every gradient of a network on one batch
    Gradients(gradients::GradientsArgs),
    /// Measure images a second, and each kernel beside the device's own peaks
    Bench(bench::BenchArgs),
    /// Show what the adapter's compiler made of each kernel of a network
    Kernels(kernels::KernelsArgs),
    /// Find and keep the fastest kernel for each convolution on this adapter
    Tune(tune::TuneArgs),
    /// Check every kernel of this machine's adapters
    Verify(verify::VerifyArgs),
    /// Run one kernel on tensors from a file
    Op(op::OpArgs),
    /// Look into weights files
    #[command(subcommand, after_help = "Example:\n  gpu-resnet weights inspect model.safetensors")]
    Weights(weights::WeightsCommand),
    /// Look at data sets
    #[command(subcommand, after_help = "Example:\n  gpu-resnet data grid photos/ -o grid.png")]
    Data(data::DataCommand),
    /// Write the page of a folder of measurements
    #[command(hide = true)]
    Results(results::ResultsArgs),
    /// Print a shell's completions
    Completions(shell::CompletionsArgs),
    /// Print the manual page
    Man(shell::ManArgs),
}

/// Parses the process arguments, runs the command, reports the error; the exit status.
pub fn run() -> u8 {
    let (result, done) = match parse() {
        Ok((cli, given)) => (execute(cli, &given), 0),
        Err(error) => (console::print_usage(&error), if error.use_stderr() { 2 } else { 0 }),
    };
    match result {
        Ok(()) => done,
        // A reader that has seen enough (`| head`) is not a failure of its own.
        Err(error) if console::is_closed(&error) => console::status_when_closed(),
        Err(error) => {
            say(format_args!("error: {error}"));
            error.exit_status()
        }
    }
}

/// The process arguments, and which of them were named.
fn parse() -> Result<(Cli, Given), clap::Error> {
    let matches = Cli::command().try_get_matches()?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut Cli::command()))?;
    Ok((cli, Given::new(&matches)))
}

fn execute(cli: Cli, given: &Given) -> Result<()> {
    environment::check(&environment::of_process)?;
    let global = cli.global.or_from(&environment::of_process)?;
    dispatch(&Cli { global, ..cli }, given)
}

fn dispatch(cli: &Cli, given: &Given) -> Result<()> {
    let console = Console::new(cli.global.verbose, cli.global.quiet);
    let context = Context { global: &cli.global, console: &console, given, tuning: &Tuning::default() };
    match &cli.command {
        Command::Infer(args) => infer::run(&context, args),
        Command::Finetune(args) => finetune::run(&context, args),
        Command::Train(args) => train::run(&context, args),
        Command::Gradients(args) => gradients::run(&context, args),
        Command::Op(args) => op::run(&context.gpu_untuned()?, context.precision(), args),
        Command::Verify(args) => verify::run(&context, args),
        Command::Evaluate(args) => evaluate::run(&context, args),
        Command::Bench(args) => bench::run(&context, args),
        Command::Kernels(args) => kernels::run(&context, args),
        Command::Tune(args) => tune::run(&context, args),
        Command::Devices(args) => devices::run(&context, args),
        Command::Weights(command) => weights::run(&context, command),
        Command::Data(command) => data::run(&context, command),
        Command::Results(args) => results::run(&context, args),
        Command::Completions(args) => shell::completions(args),
        Command::Man(args) => shell::man(args),
    }
}

/// What every command is given.
pub struct Context<'a> {
    pub global: &'a Global,
    pub console: &'a Console,
    /// The arguments that the user named.
    pub given: &'a Given,
    /// The kernels that its adapters use.
    pub tuning: &'a Tuning,
}

impl Context<'_> {
    /// Opens what `--weights` names, fetched first where it has to be, with a bar that shows it.
    /// Of several networks in one file, `key` names one.
    pub fn weights(&self, argument: Option<&OsStr>, key: Option<&str>) -> Result<Weights> {
        self.fetching(&argument.unwrap_or_default().to_string_lossy(), |options| {
            crate::weights::open_key(argument, key, options)
        })
    }

    /// Does something that may fetch the network or data set `name`.
    pub fn fetching<T>(&self, name: &str, act: impl FnOnce(&FetchOptions) -> Result<T>) -> Result<T> {
        let bar = OnceCell::new();
        let progress = |have: u64, total: Option<u64>| {
            let bar = bar.get_or_init(|| self.console.transfer(total, &format!("fetching {name}")));
            bar.set_position(have);
            total.iter().for_each(|&total| bar.set_length(total));
        };
        let notice = |text: &str| self.console.note(text);
        let options = FetchOptions {
            offline: self.global.offline,
            progress: Some(&progress),
            notice: Some(&notice),
            ..FetchOptions::from_env()
        };
        let result = act(&options);
        if let Some(bar) = bar.get() {
            bar.finish_and_clear();
        }
        result
    }

    /// How activations and weights are stored.
    pub fn precision(&self) -> Precision {
        self.global.precision
    }

    /// Refuses `--precision f16` for `what`, which has no kernels of it.
    pub fn f32_only(&self, what: &str) -> Result<()> {
        match self.precision() {
            Precision::F32 => Ok(()),
            Precision::F16 => {
                Err(Error::Usage(format!("{what} has no kernels for --precision f16; leave it out or use f32")))
            }
        }
    }

    /// Opens the one adapter that the options name; plans on it use the kernels that were tuned for it.
    pub fn gpu(&self) -> Result<Arc<Gpu>> {
        self.open_tuned(self.global.adapter()?, None)
    }

    /// The same to compute what `purpose` says: kernels that were not tuned yet are measured at the first use of the adapter.
    pub fn gpu_for(&self, purpose: &Purpose) -> Result<Arc<Gpu>> {
        self.open_tuned(self.global.adapter()?, Some(purpose))
    }

    /// Opens every adapter that the options name for `purpose`, in that order. One that is named twice is opened twice.
    pub fn gpus_for(&self, purpose: &Purpose) -> Result<Vec<Arc<Gpu>>> {
        self.global.adapters().into_iter().map(|choice| self.open_tuned(choice, Some(purpose))).collect()
    }

    /// Opens the one adapter that the options name, to be used with the default kernels.
    pub fn gpu_untuned(&self) -> Result<Arc<Gpu>> {
        self.open(self.global.adapter()?)
    }

    fn open_tuned(&self, choice: AdapterChoice, purpose: Option<&Purpose>) -> Result<Arc<Gpu>> {
        let gpu = self.open(choice)?;
        self.tuning.apply(self, &gpu, purpose)?;
        Ok(gpu)
    }

    fn open(&self, choice: AdapterChoice) -> Result<Arc<Gpu>> {
        let started = Instant::now();
        let pipeline_cache = cache_dir().ok().map(|folder| folder.join("pipelines"));
        let gpu = Gpu::open_with(&choice, &DeviceOptions { pipeline_cache, ..Default::default() })?;
        if let Some(warning) = gpu.warning() {
            self.console.note(warning);
        }
        let report = gpu.report();
        environment::check_kernel(report)?;
        if !self.global.names_adapter() {
            adapter_remark::remark(self.console, report);
        }
        let seconds = started.elapsed().as_secs_f64();
        let about = format!("adapter {}: {} ({})", report.index, report.name, report.driver_info);
        self.console.verbose(format!("{about}, opened in {seconds:.2} s"));
        Ok(gpu)
    }
}

impl Global {
    /// The options, and from the environment the adapter and backend that they don't name.
    fn or_from(mut self, variable: &environment::Variables) -> Result<Self> {
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

    /// Whether the user chose what to run on.
    fn names_adapter(&self) -> bool {
        !self.adapter.is_empty() || self.backend.is_some()
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
    fn adapter(&self) -> Result<AdapterChoice> {
        let mut adapters = self.adapters();
        match adapters.pop() {
            Some(one) if adapters.is_empty() => Ok(one),
            _ => Err(Error::Usage(
                "several adapters share the images of infer, evaluate and of finetune's features; here give one --adapter"
                    .into(),
            )),
        }
    }
}
