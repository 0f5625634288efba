//! What a shader requires of an adapter.

use crate::gpu::AdapterReport;
use crate::gpu::shaders::{EntryPoint, Shader, flags};
use crate::ops::conv2d_kernels::kernel_of;
use crate::ops::{Conv2dVariant, Precision};

/// Why the entry point of `shader` never runs on `adapter`: a missing feature or limit, or another form of the kernel that runs in its
/// place. `None` if it runs.
pub(super) fn lacks(adapter: &AdapterReport, shader: &Shader, entry: &EntryPoint) -> Option<String> {
    let uses = |part| shader.source.contains(part);
    let features = adapter.features;
    let half = uses("enable f16;");
    let variant = kernel_of(shader);
    let invocations: u32 = entry.workgroup_size.iter().product();
    let has = |flag| shader.flags.contains(flag);
    if has(flags::EMULATED) {
        return Some("only tests use it, in place of cooperative matrices".into());
    }
    if half && !features.f16 {
        return Some("the adapter has no f16 in shaders".into());
    }
    if shader.subgroups && !features.subgroups {
        return Some("the adapter has no subgroup operations".into());
    }
    if uses("u64") && !features.int64 {
        return Some("the adapter has no 64-bit integers in shaders".into());
    }
    if invocations > adapter.max_invocations_per_workgroup {
        let most = adapter.max_invocations_per_workgroup;
        return Some(format!("it needs workgroups of {invocations} invocations and the adapter's have at most {most}"));
    }
    if variant.is_some_and(Conv2dVariant::is_cooperative) && half {
        let lacks = |shape| Some(format!("the adapter has no cooperative matrices of {shape} f16 with f32 sums"));
        match (has(flags::MATRICES_8X8), features.matrices_f16, features.matrices_f16_eight) {
            (true, true, _) => return Some("the kernel of 16x16x16 runs in its place".into()),
            (true, _, false) => return lacks("8x8x8"),
            (false, false, _) => return lacks("16x16x16"),
            _ => {}
        }
    }
    let precision = if half { Precision::F16 } else { Precision::F32 };
    if let Some(Err(why)) = variant.map(|variant| variant.supported_in(adapter, precision)) {
        return Some(why);
    }
    if has(flags::PAIRS) {
        let why = "only a driver that loads vectors component by component runs the form that loads pairs";
        return (!adapter.loads_components()).then(|| why.into());
    }
    (has(flags::WIDE) && adapter.kind != "cpu").then(|| "only software drivers run the wide form".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{Features, shaders};

    fn adapter() -> AdapterReport {
        let features = Features { f16: true, subgroups: true, int64: true, ..Features::default() };
        AdapterReport { features, ..AdapterReport::example() }
    }

    fn why(adapter: &AdapterReport, name: &str) -> Option<String> {
        let shader = shaders::find(name).unwrap_or_else(|| panic!("{name}"));
        lacks(adapter, shader, &shader.entry_points[0])
    }

    #[test]
    fn what_is_missing_is_said() {
        let full = adapter();
        for name in ["relu", "relu_f16", "conv2d_gemm", "conv2d_register_f16", "fingerprint/subgroups"] {
            assert_eq!(why(&full, name), None, "{name}");
        }
        for (name, part) in [
            ("conv2d_subgroup", "subgroups of exactly 8"),
            ("conv2d_subgroup_wide", "subgroups of exactly 8"),
            ("conv2d_subgroup4", "subgroups of exactly 4"),
            ("conv2d_cooperative", "cooperative matrices"),
            ("conv2d_cooperative_emulated", "only tests use it"),
            ("sum_partials_wide", "only software drivers"),
            ("winograd4_input_wide_f16", "only software drivers"),
            ("conv2d_gemm_128x128_pairs", "component by component"),
            ("conv2d_gemm_64x64_split_f16_pairs", "component by component"),
        ] {
            assert!(why(&full, name).is_some_and(|why| why.contains(part)), "{name}: {:?}", why(&full, name));
        }
        let nvk = AdapterReport { driver: "NVK".into(), ..adapter() };
        assert_eq!(why(&nvk, "conv2d_gemm_128x128_pairs"), None);
        let without = AdapterReport { features: Features::default(), ..nvk };
        assert!(why(&without, "conv2d_gemm_128x128_pairs").is_some_and(|why| why.contains("64-bit integers")));
        let small = AdapterReport {
            features: Features::default(),
            max_invocations_per_workgroup: 32,
            max_workgroup_memory_bytes: 256,
            ..full.clone()
        };
        for (name, part) in [("relu_f16", "no f16"), ("relu", "at most 32"), ("fingerprint/subgroups", "subgroup")] {
            assert!(why(&small, name).is_some_and(|why| why.contains(part)), "{name}: {:?}", why(&small, name));
        }
        let narrow = AdapterReport { max_workgroup_memory_bytes: 256, ..full };
        assert!(why(&narrow, "conv2d_gemm").is_some_and(|why| why.contains("workgroup memory")));
    }
}
