//! The stored references of whole networks (PyTorch in f64; `tests/golden/README.md` describes them), built into the program, so that it
//! verifies without a network or a checkout.

use crate::error::Result;
use crate::weights::Weights;

macro_rules! golden {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/", $name, ".safetensors")))),+]
    };
}

/// Forward passes: logits, features and stages.
pub static FORWARD: &[(&str, &[u8])] = golden![
    "resnet18",
    "resnet50",
    "resnext",
    "resnet20-zero-pad",
    "resnet20-projection",
    "resnet20-projection-all",
    "v1-ceil",
    "plain20",
    "preact-resnet20",
    "preact-resnet20-projection",
    "preact-bottleneck",
];

/// Forward and backward passes of small networks: loss, logits and every gradient.
pub static GRADIENTS: &[(&str, &[u8])] = golden![
    "gradients-basic",
    "gradients-zero-pad",
    "gradients-projection-all",
    "gradients-plain",
    "gradients-preact-basic",
    "gradients-preact-projection",
    "gradients-preact-bottleneck",
    "gradients-bottleneck",
    "gradients-v1-ceil",
    "gradients-grouped",
];

/// Opens the reference `name` of `list`.
pub fn open(list: &[(&str, &'static [u8])], name: &str) -> Result<Weights> {
    let bytes = list.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, bytes)| bytes);
    Weights::from_bytes(bytes, format!("the reference {name}"))
}
