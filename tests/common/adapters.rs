//! The adapters that tests go through.

use std::sync::{Arc, OnceLock};

use gpu_resnet::gpu::{AdapterChoice, Gpu, list_adapters};
use pollster::FutureExt as _;

/// Every usable adapter, opened once in a process, so that its tests share what is compiled. None at all is a failure: nothing
/// would have been tested.
pub fn open_all() -> Vec<Arc<Gpu>> {
    static ADAPTERS: OnceLock<Vec<Arc<Gpu>>> = OnceLock::new();
    ADAPTERS.get_or_init(open_each).clone()
}

fn open_each() -> Vec<Arc<Gpu>> {
    let mut opened = Vec::new();
    for report in list_adapters(None).block_on() {
        let name = format!("{} ({:?}, {} {})", report.name, report.backend, report.driver, report.driver_info);
        if let Some(why) = &report.unusable {
            println!("not tested: {name}: {why}");
            continue;
        }
        let choice = AdapterChoice { adapter: Some(report.index.to_string()), backend: None };
        opened.push(Gpu::open(&choice).block_on().unwrap_or_else(|error| panic!("{name}: {error}")));
        println!("tested: {name}");
    }
    assert!(!opened.is_empty(), "no usable GPU adapter; run scripts/setup.sh, which installs a software driver");
    opened
}
