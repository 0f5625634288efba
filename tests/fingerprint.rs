//! The numeric fingerprint on every adapter: all probes answer, twice alike, and what IEEE 754 and WGSL leave no freedom in is
//! as they have it.

#[path = "common/adapters.rs"]
mod adapters;

use gpu_resnet::verify::fingerprint::fingerprint;
use pollster::FutureExt as _;

#[test]
fn every_probe_answers() {
    for gpu in adapters::open_all() {
        let found = fingerprint(&gpu).block_on().expect("a fingerprint");
        for probe in &found.probes {
            println!("{:36} {:28} {}", probe.name, probe.value, probe.detail);
            assert_ne!(probe.value, "error", "{probe:?}");
        }
        assert_eq!(
            fingerprint(&gpu).block_on().expect("a second fingerprint"),
            found,
            "the same adapter answers alike"
        );
        let value = |name: &str| {
            let probe = found.probes.iter().find(|probe| probe.name == name);
            probe.unwrap_or_else(|| panic!("there is no probe {name}")).value.as_str()
        };
        // What the kernels' indices rest on.
        assert_eq!(value("integers.unsigned_division"), "as WGSL has it");
        assert_eq!(value("integers.unsigned_remainder"), "as WGSL has it");
        assert_eq!(value("conversions.f32_to_u32"), "toward zero");
        assert_eq!(value("special.minus_0_equals_0"), "true");
        assert!(["fused", "rounded twice", "mixed"].contains(&value("fma.contraction")));
        assert_eq!(found.probes.iter().any(|probe| probe.name == "f16.add"), gpu.features().f16);
    }
}
