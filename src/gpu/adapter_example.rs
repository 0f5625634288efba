//! A made-up adapter, for tests of code that depends on an adapter's properties.

use super::adapter::{AdapterReport, BackendName};
use super::cores::{CoreSource, Cores};
use super::features::Features;

impl AdapterReport {
    /// A discrete GPU of 32 cores, with f16 and subgroups of 32, under Vulkan.
    #[doc(hidden)]
    pub fn example() -> Self {
        Self {
            index: 0,
            name: "a GPU".into(),
            backend: BackendName::Vulkan,
            kind: "discrete".into(),
            driver: "driver".into(),
            driver_info: "1.0".into(),
            vendor: 1,
            device: 2,
            subgroup_size: [32, 32],
            max_buffer_bytes: 1 << 32,
            max_binding_bytes: 1 << 31,
            max_workgroups_per_dimension: 65_535,
            max_workgroup_memory_bytes: 32 << 10,
            max_invocations_per_workgroup: 1024,
            features: Features { f16: true, subgroups: true, ..Features::default() },
            cores: Cores { count: 32, by: CoreSource::Name },
            unusable: None,
        }
    }
}
