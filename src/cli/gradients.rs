//! `gpu-resnet gradients`: one forward and backward pass of a whole network, to compare with another framework's.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Context;
use super::model::{Use, distinct, needs_head, open_weights};
use super::network::{ImageArgs, NetworkArgs};
use super::op::tensors::TensorFile;
use super::output_name;
use crate::error::{Error, Result};
use crate::gpu::block_on;
use crate::model::{GradientPass, PassOptions, TrainableNetwork};
use crate::weights::{NamedTensor, RawTensor, write_safetensors};

/// Compute the loss and every gradient of a network on one batch.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  gpu-resnet gradients --weights resnet50.safetensors --input batch.safetensors --output \
                        grads.safetensors --bn train"
)]
pub struct GradientsArgs {
    /// A safetensors file, a run's folder, or the name of built-in weights [default: resnet50-thin, built in]
    #[arg(long, value_name = "W")]
    weights: Option<OsString>,
    #[command(flatten)]
    network: NetworkArgs,
    /// `input` [N, 3, H, W] in floats and `target` [N] in I64 or I32
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// File to write `loss`, `logits`, `grad.input` and `grad.NAME` for every parameter to, finite or not
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Normalise with the running statistics, or with the batch's own
    #[arg(long, value_enum, default_value_t = Bn::Eval)]
    bn: Bn,
}

/// Which statistics batch normalisation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Bn {
    Eval,
    Train,
}

pub fn run(context: &Context, args: &GradientsArgs) -> Result<()> {
    output_name::check(&args.output, output_name::SAFETENSORS)?;
    distinct(&args.input, &args.output)?;
    context.f32_only("gradients")?;
    let overrides = args.network.overrides(&ImageArgs::default())?;
    let (weights, description) = open_weights(context, args.weights.as_deref(), &overrides, Use::TENSORS)?;
    needs_head(&weights, "give a network with a head")?;
    let file = TensorFile::open(&args.input)?;
    let input = file.array("input")?;
    let shape = <[usize; 4]>::try_from(input.shape.as_slice());
    let shape = shape.map_err(|_| {
        Error::file(&args.input, format!("has `input` of shape {:?}; [N, 3, H, W] is needed", input.shape))
    })?;
    let classes = description.architecture.classes;
    let targets = file.integers("target")?.into_iter().map(|target| {
        let valid = u32::try_from(target).ok().filter(|&target| (target as usize) < classes);
        valid.ok_or_else(|| {
            Error::file(&args.input, format!("has the target {target}; classes are 0 to {}", classes - 1))
        })
    });
    let targets: Vec<u32> = targets.collect::<Result<_>>()?;
    let network = TrainableNetwork::new(&context.gpu()?, &description.architecture, &weights)?;
    let options = PassOptions { bn_training: args.bn == Bn::Train, grad_input: true, ..Default::default() };
    let mut pass = GradientPass::new(&network, shape, &options)?;
    let summary = pass.summary();
    context.console.verbose(format!("{} dispatches, {} MiB", summary.dispatches, summary.bytes >> 20));
    let gradients = block_on(pass.run(&network, &input.data, &targets))?;
    // Written as autograd would: whoever compares drivers looks for where they first appear.
    if !gradients.loss.is_finite() || gradients.logits.iter().any(|logit| !logit.is_finite()) {
        context.console.note("the loss or a logit is not a finite number; everything is written as computed");
    }

    let (one, logits) = ([1], [shape[0], classes]);
    let loss = [gradients.loss];
    let mut tensors =
        vec![NamedTensor::new("loss", &one, loss.as_slice()), NamedTensor::new("logits", &logits, gradients.logits)];
    if let Some(grad) = gradients.input {
        tensors.push(NamedTensor::new("grad.input", &shape, grad));
    }
    for (name, shape, data) in &gradients.parameters {
        tensors.push(NamedTensor::new(format!("grad.{name}"), shape, data.as_slice()));
    }
    let raw: Vec<RawTensor> = tensors.iter().map(RawTensor::from).collect();
    write_safetensors(&args.output, &raw, &Default::default())
}
