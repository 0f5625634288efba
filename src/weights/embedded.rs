//! The weights inside the program, so that the main job runs offline on a fresh machine.

/// The name that `--weights` takes for them.
pub const EMBEDDED_NAME: &str = "resnet50-thin";

/// `weights/resnet50-thin.safetensors`: Yahoo's open_nsfw, a 50-layer bottleneck ResNet v1 of half width, in f16
/// (provenance, checksum and BSD-2-Clause licence beside it).
pub const EMBEDDED: &[u8] = include_bytes!("../../weights/resnet50-thin.safetensors");
