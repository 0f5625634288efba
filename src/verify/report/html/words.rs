//! Words and colours that every part of the page has.

use maud::{Markup, html};

use super::super::types::{AdapterRun, Status};

/// The class of a status' colour.
pub fn tone(status: Status) -> &'static str {
    match status {
        Status::Pass => "tone-pass",
        Status::Unsupported => "tone-idle",
        Status::Oom | Status::Timeout => "tone-warn",
        Status::Fail | Status::Crash | Status::DeviceLost => "tone-fail",
    }
}

pub fn chip(status: Status) -> Markup {
    html! { span class={ "chip " (tone(status)) } { (status.name()) } }
}

/// Graphics interface and driver.
pub fn interface(run: &AdapterRun) -> String {
    let a = &run.adapter;
    let driver = if a.driver_info.is_empty() { &a.driver } else { &a.driver_info };
    [backend(run), driver.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// The name of the graphics interface, as people write it.
pub fn backend(run: &AdapterRun) -> &'static str {
    use crate::gpu::BackendName::*;
    match run.adapter.backend {
        Vulkan => "Vulkan",
        Metal => "Metal",
        Dx12 => "DX12",
        Gl => "GL",
        WebGpu => "WebGPU",
    }
}
