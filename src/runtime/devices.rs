//! What this machine can run on, and with which kernels.

use crate::cache::cache_dir;
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, BackendName, block_on, list_adapters};
use crate::ops::{Conv2dSwitch, Conv2dVariant, ConvTarget};
use crate::tune::store;

/// One adapter and the kernel variants that it can run, or why not.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Device {
    /// The adapter.
    #[serde(flatten)]
    pub report: AdapterReport,
    /// The convolution kernel that is used.
    pub conv2d: &'static str,
    /// All convolution kernels.
    pub variants: Vec<Variant>,
    /// Convolutions that `tune` chose kernels for.
    pub tuned: usize,
}

/// A kernel, and whether the adapter can run it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Variant {
    /// What it computes.
    pub op: &'static str,
    /// Its name.
    pub variant: &'static str,
    /// Whether the adapter can run it.
    pub supported: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Every adapter of the machine, of one `backend` or of all; `switch` is the kernel that a user asked for.
///
/// # Errors
/// [`Error::NoAdapter`] if there is none.
pub fn devices(backend: Option<BackendName>, switch: Option<Conv2dSwitch>) -> Result<Vec<Device>> {
    let adapters = block_on(list_adapters(backend));
    if adapters.is_empty() {
        return Err(Error::NoAdapter(
            "no GPU adapter was found: install a Vulkan driver (on Debian `apt-get install mesa-vulkan-drivers` gives a \
             software one)"
                .into(),
        ));
    }
    Ok(adapters.into_iter().map(|report| device(report, switch)).collect())
}

fn device(report: AdapterReport, switch: Option<Conv2dSwitch>) -> Device {
    let variants = Conv2dVariant::FORWARD.map(|variant| {
        let supported = variant.supported(&report);
        Variant { op: "conv2d", variant: variant.name(), supported: supported.is_ok(), reason: supported.err() }
    });
    // Problems with a file are reported where it is used.
    let tuned = cache_dir().map_or(0, |cache| store::load(&cache, &report).0.len());
    let conv2d = Conv2dVariant::choose(ConvTarget { adapter: &report, switch }).name();
    Device { conv2d, variants: variants.into(), tuned, report }
}
