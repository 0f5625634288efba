//! The weights inside the program, so that the main job runs offline on a fresh machine. `weights/README.md` has their
//! provenance.

/// `weights/resnet50-thin.safetensors`: Yahoo's open_nsfw, a 50-layer bottleneck ResNet v1 of half width, in f16
/// (checksum and BSD-2-Clause licence beside it).
/// In a browser it is empty: the page fetches the file.
#[cfg(not(target_arch = "wasm32"))]
pub static EMBEDDED: &[u8] = include_bytes!("../../weights/resnet50-thin.safetensors");
#[cfg(target_arch = "wasm32")]
#[allow(missing_docs)]
pub static EMBEDDED: &[u8] = &[];

/// The default weights.
pub const EMBEDDED_NAME: &str = "resnet50-thin";

/// Every name of built-in weights that `--weights` takes, and the file. `resnet20-digits` was trained by this program on
/// `examples/digits`.
#[cfg(not(target_arch = "wasm32"))]
pub static BUILT_IN: &[(&str, &[u8])] =
    &[(EMBEDDED_NAME, EMBEDDED), ("resnet20-digits", include_bytes!("../../weights/resnet20-digits.safetensors"))];
#[cfg(target_arch = "wasm32")]
#[allow(missing_docs)]
pub static BUILT_IN: &[(&str, &[u8])] = &[];
