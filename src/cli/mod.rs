//! The command line: global options, one thin file per command, and what they share.

mod bench;
mod console;
mod context;
mod data;
mod devices;
mod environment;
mod evaluate;
mod finetune;
mod grad_cam;
mod gradients;
mod infer;
mod kernels;
mod model;
mod network;
mod op;
mod output_name;
mod reporter;
mod results;
mod resume;
mod shell;
mod signals;
mod train;
mod training;
mod tune;
mod verify;
mod web;
mod weights;

use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::Result;
use crate::gpu::faults_struck;
use crate::runtime::{Switches, Tuning};
pub use console::{Console, report_panic, say};
pub use context::{Context, Global};
use resume::NamedOptions;

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
    /// Measure images per second, and each kernel beside the device's own peaks
    Bench(bench::BenchArgs),
    /// Show what the adapter's compiler made of each kernel of a network
    Kernels(kernels::KernelsArgs),
    /// Find and keep the fastest kernel for each convolution on this adapter
    Tune(tune::TuneArgs),
    /// Check every kernel of this machine's adapters
    Verify(verify::VerifyArgs),
    /// Serve the page that verifies and uses a GPU in a browser
    Web(web::WebArgs),
    /// Run one kernel on tensors from a file
    Op(op::OpArgs),
    /// List, fetch, inspect and convert weights
    #[command(subcommand, after_help = "Example:\n  gpu-resnet weights inspect model.safetensors")]
    Weights(weights::WeightsCommand),
    /// Fetch, inspect and show data sets
    #[command(subcommand, after_help = "Example:\n  gpu-resnet data grid photos/ -o grid.png")]
    Data(data::DataCommand),
    /// Write a page about a folder of measurements
    #[command(hide = true)]
    Results(results::ResultsArgs),
    /// Print completions for a shell
    Completions(shell::CompletionsArgs),
    /// Print the manual page
    Man(shell::ManArgs),
}

/// Parses the process arguments, runs the command and reports its error. Returns the exit status.
pub fn run() -> u8 {
    let (result, done) = match parse() {
        Ok((cli, given)) => (execute_with_fault(cli, &given), 0),
        Err(error) => (console::print_usage(&error), if error.use_stderr() { 2 } else { 0 }),
    };
    match result {
        Ok(()) => done,
        // A reader that closes the pipe (`| head`) is not a failure.
        Err(error) if console::is_closed(&error) => console::status_when_closed(),
        Err(error) => {
            say(format_args!("error: {error}"));
            error.exit_status()
        }
    }
}

/// Executes the command, and says how often a fault that was asked for struck: a campaign that raises N ends where none did.
fn execute_with_fault(cli: Cli, given: &NamedOptions) -> Result<()> {
    let fault = cli.global.inject;
    let result = execute(cli, given);
    if let Some(fault) = fault {
        say(format_args!("{fault} struck {} times", faults_struck()));
    }
    result
}

/// The process arguments, and which of them the user gave.
fn parse() -> Result<(Cli, NamedOptions), clap::Error> {
    let matches = Cli::command().try_get_matches()?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut Cli::command()))?;
    Ok((cli, NamedOptions::new(&matches)))
}

fn execute(cli: Cli, given: &NamedOptions) -> Result<()> {
    let switches = environment::switches(&environment::of_process)?;
    let global = cli.global.or_from(&environment::of_process)?;
    let switches = Switches { fault: global.inject, ..switches };
    dispatch(&Cli { global, ..cli }, given, switches)
}

fn dispatch(cli: &Cli, given: &NamedOptions, switches: Switches) -> Result<()> {
    let console = Console::new(cli.global.verbose, cli.global.quiet);
    let context = Context {
        global: &cli.global,
        console: &console,
        given,
        switches,
        tuning: &Arc::new(Tuning::stopped_by(console::interrupt)),
    };
    match &cli.command {
        Command::Infer(args) => infer::run(&context, args),
        Command::Finetune(args) => finetune::run(&context, args),
        Command::Train(args) => train::run(&context, args),
        Command::Gradients(args) => gradients::run(&context, args),
        Command::Op(args) => op::run(&context.gpu_untuned()?, context.precision(), args),
        Command::Verify(args) => verify::run(&context, args),
        Command::Web(args) => web::run(&context, args),
        Command::Evaluate(args) => evaluate::run(&context, args),
        Command::Bench(args) => bench::run(&context, args),
        Command::Kernels(args) => kernels::run(&context, args),
        Command::Tune(args) => tune::run(&context, args),
        Command::Devices(args) => devices::run(&context, args),
        Command::Weights(command) => weights::run(&context, command),
        Command::Data(command) => data::run(&context, command),
        Command::Results(args) => results::run(&context, args),
        Command::Completions(args) => shell::completions(Cli::command(), args),
        Command::Man(args) => shell::man(Cli::command(), args),
    }
}
