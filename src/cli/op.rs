//! `op`: runs one operation on tensors from a file, under PyTorch's names, and writes the results.

mod settings;
mod table;
pub(super) mod tensors;

use std::path::PathBuf;
use std::sync::Arc;

use super::output_name;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::ops::Precision;

use settings::Settings;
use table::{Call, OPERATIONS, Operation};
use tensors::TensorFile;

/// Run one operation on tensors from a safetensors file.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  gpu-resnet op conv2d --input in.safetensors --output out.safetensors --set stride=2 padding=1\n\n\
    Keys, shapes and attributes are PyTorch's: conv2d takes input, weight and optionally bias, and returns output.\n\
    If a tensor is missing, the error lists those that the operation needs."
)]
pub struct OpArgs {
    /// Operation: conv2d, batch_norm, relu, add_relu, max_pool2d, avg_pool2d, global_avg_pool, linear, each also as
    /// NAME_backward; add, cross_entropy, adam, adamw or sgd
    pub name: String,
    /// File with the input tensors (F32, F16, BF16 or F64; class numbers I64 or I32)
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// File to write the results to
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Attributes, with PyTorch's names and defaults: stride=2, padding=1,0, training=true
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    pub set: Vec<String>,
}

/// Runs the operation that `args` names on `gpu`.
///
/// # Errors
/// [`Error::Usage`] for an unknown operation or attribute, [`Error::File`] for a missing, superfluous or unreadable
/// tensor, [`Error::Shape`] for tensors that don't fit together, and what the GPU reports.
pub fn run(gpu: &Arc<Gpu>, precision: Precision, args: &OpArgs) -> Result<()> {
    let operation = find(&args.name)?;
    output_name::check(&args.output, output_name::SAFETENSORS)?;
    let settings = Settings::parse(operation.name, operation.attributes, &args.set)?;
    if !precision.has(operation.name) {
        let name = precision.name();
        return Err(Error::Usage(format!("{} has no kernel for --precision {name}; leave it out", args.name)));
    }
    precision.supported(gpu.report()).map_err(Error::NoAdapter)?;
    let file = TensorFile::open(&args.input)?;
    file.check_keys(operation.name, operation.required, operation.optional)?;
    let results = (operation.run)(&Call { gpu, precision, file: &file, settings: &settings })?;
    tensors::write(&args.output, &results)
}

fn find(name: &str) -> Result<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name).ok_or_else(|| {
        let names: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        Error::Usage(format!("there is no operation {name:?}; choose one of {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_is_none_is_refused_with_those_there_are() {
        assert_eq!(find("conv2d").map(|operation| operation.name).ok(), Some("conv2d"));
        let Err(Error::Usage(message)) = find("no such thing") else { panic!("it was found") };
        assert!(message.contains("\"no such thing\"") && message.contains("max_pool2d"), "{message}");
    }
}
