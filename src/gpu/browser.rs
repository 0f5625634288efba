//! What a browser says of its adapter and wgpu does not pass on: WebGPU hides the adapter's name behind a vendor and an architecture.

use serde::Deserialize;

use super::adapter::AdapterReport;
use super::cores::{CoreSource, Cores};

/// WebGPU's `GPUAdapterInfo`, and the browser. Every text may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrowserAdapter {
    /// Such as `nvidia`.
    pub vendor: String,
    /// Such as `ampere`.
    pub architecture: String,
    pub device: String,
    pub description: String,
    pub is_fallback_adapter: bool,
    /// Name, version and system of the browser, such as `Chrome 156 on Linux`.
    pub browser: String,
    /// Threads of the processor, which a software driver shares out; 0 if unknown.
    pub threads: u32,
}

/// The vendors that browsers name, with their PCI or Khronos numbers and the kind of most of their GPUs.
const VENDORS: [(&str, u32, &str); 10] = [
    ("amd", 0x1002, "other"),
    ("apple", 0x106b, "integrated"),
    ("arm", 0x13b5, "integrated"),
    ("google", 0x1ae0, "cpu"),
    ("img-tec", 0x1010, "integrated"),
    ("intel", 0x8086, "integrated"),
    ("mesa", 0x1_0005, "cpu"),
    ("microsoft", 0x1414, "cpu"),
    ("nvidia", 0x10de, "discrete"),
    ("qualcomm", 0x5143, "integrated"),
];

impl BrowserAdapter {
    /// Completes `report`, which wgpu wrote.
    pub(super) fn complete(&self, report: &mut AdapterReport) {
        let vendor = self.vendor.to_lowercase();
        if let Some((_, number, kind)) = VENDORS.iter().find(|(name, ..)| *name == vendor) {
            (report.vendor, report.kind) = (*number, (*kind).into());
        }
        if self.is_fallback_adapter || ["swiftshader", "llvmpipe"].contains(&self.architecture.as_str()) {
            report.kind = "cpu".into();
        }
        report.name = self.name();
        report.driver = "WebGPU".into();
        report.driver_info.clone_from(&self.browser);
        report.cores = match report.kind.as_str() {
            "cpu" => Cores { count: self.threads.max(1), by: CoreSource::Processor },
            kind => Cores::of(&report.name, kind),
        };
    }

    /// The most precise name that the browser gives.
    fn name(&self) -> String {
        let family = [&self.vendor, &self.architecture].into_iter().filter(|text| !text.is_empty());
        let family = family.map(String::as_str).collect::<Vec<_>>().join(" ");
        let given = [&self.description, &self.device, &family].into_iter().find(|text| !text.is_empty()).cloned();
        given.unwrap_or_else(|| "unnamed adapter".into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::adapter::BackendName;
    use super::*;

    fn completed(json: &str) -> AdapterReport {
        let mut report = AdapterReport::example();
        (report.backend, report.kind, report.vendor) = (BackendName::WebGpu, "other".into(), 0);
        serde_json::from_str::<BrowserAdapter>(json).unwrap().complete(&mut report);
        report
    }

    #[test]
    fn vendor_and_architecture_name_an_adapter() {
        let nvidia = completed(r#"{"vendor": "nvidia", "architecture": "ampere", "browser": "Chrome 156 on Linux"}"#);
        assert_eq!((nvidia.name.as_str(), nvidia.vendor, nvidia.kind.as_str()), ("nvidia ampere", 0x10de, "discrete"));
        assert_eq!((nvidia.driver.as_str(), nvidia.driver_info.as_str()), ("WebGPU", "Chrome 156 on Linux"));
        let named = completed(r#"{"vendor": "nvidia", "description": "NVIDIA GeForce RTX 3090"}"#);
        assert_eq!((named.name.as_str(), named.cores.count), ("NVIDIA GeForce RTX 3090", 82));
    }

    #[test]
    fn software_is_known_by_its_architecture_or_the_browsers_word() {
        let swiftshader = completed(r#"{"vendor": "google", "architecture": "swiftshader", "threads": 4}"#);
        assert_eq!((swiftshader.kind.as_str(), swiftshader.cores.count), ("cpu", 4));
        assert_eq!(completed(r#"{"vendor": "amd", "isFallbackAdapter": true}"#).kind, "cpu");
    }

    #[test]
    fn a_browser_that_says_nothing_gets_a_name_too() {
        let silent = completed("{}");
        assert_eq!((silent.name.as_str(), silent.kind.as_str(), silent.vendor), ("unnamed adapter", "other", 0));
    }
}
