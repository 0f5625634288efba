//! Adapters that this machine does not have, one for each class that the policy tells apart.

use gpu_resnet::gpu::{AdapterReport, CoreSource, Cores, Features};

/// A GPU with so many cores.
pub fn adapter(vendor: u32, cores: u32) -> AdapterReport {
    let cores = Cores { count: cores, by: CoreSource::Name };
    AdapterReport { vendor, cores, subgroup_size: [32, 64], ..AdapterReport::example() }
}

/// The classes, each with its name.
pub fn classes() -> Vec<(&'static str, AdapterReport)> {
    let plain = Features { subgroups: true, f16: true, ..Default::default() };
    let of =
        |vendor, cores, subgroup_size, features| AdapterReport { subgroup_size, features, ..adapter(vendor, cores) };
    let software = |subgroup_size, features| AdapterReport { kind: "cpu".into(), ..of(0, 2, subgroup_size, features) };
    let matrices = Features { matrices_f16: true, ..plain };
    vec![
        ("lavapipe", software([8, 8], Features { int64: true, ..plain })),
        ("lavapipe without int64", software([8, 8], plain)),
        ("swiftshader", software([4, 4], Features { f16: false, ..plain })),
        ("amd", of(0x1002, 60, [32, 64], plain)),
        ("gcn", of(0x1002, 60, [64, 64], plain)),
        ("nvidia", of(0x10de, 132, [32, 32], plain)),
        ("nvidia with matrices", of(0x10de, 132, [32, 32], matrices)),
        ("intel", of(0x8086, 32, [8, 32], plain)),
        ("apple", of(0x106b, 10, [32, 32], Features { matrices_f16_eight: true, matrices_f32: true, ..plain })),
        ("adreno", of(0x5143, 3, [64, 128], plain)),
    ]
}
