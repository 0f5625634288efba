//! What a shader needs of an adapter before it ever runs there.

use crate::gpu::AdapterReport;
use crate::gpu::shaders::{EntryPoint, Shader};
use crate::ops::{Conv2dVariant, Precision};

/// Why the entry point of `shader` never runs on `adapter`: a feature or limit that the adapter has not got, or another form of the
/// kernel that runs in its place. None if it runs.
pub(super) fn lacks(adapter: &AdapterReport, shader: &Shader, entry: &EntryPoint) -> Option<String> {
    let uses = |part| shader.source.contains(part);
    let features = adapter.features;
    let half = uses("enable f16;");
    let invocations: u32 = entry.workgroup_size.iter().product();
    if shader.name.ends_with("_emulated") {
        return Some("it stands in for cooperative matrices in tests alone".into());
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
    if shader.name.contains("_cooperative") && half {
        let lacks = |shape| Some(format!("the adapter has no cooperative matrices of {shape} f16 with f32 sums"));
        match (shader.name.ends_with("_eight"), features.matrices_f16, features.matrices_f16_eight) {
            (true, true, _) => return Some("the kernel of 16x16x16 runs in its place".into()),
            (true, _, false) => return lacks("8x8x8"),
            (false, false, _) => return lacks("16x16x16"),
            _ => {}
        }
    }
    let precision = if half { Precision::F16 } else { Precision::F32 };
    if let Some(Err(why)) = variant_of(shader.name).map(|variant| variant.supported_in(adapter, precision)) {
        return Some(why);
    }
    // See `KernelSpec::or_wide`.
    (shader.name.contains("_wide") && adapter.kind != "cpu").then(|| "only software drivers run the wide form".into())
}

/// The variant that the shader `name` is of, if it is of one: `conv2d_backward_input_gemm_64x64_f16` is of `gemm-64x64`.
pub(super) fn variant_of(name: &str) -> Option<Conv2dVariant> {
    let written = |variant: &Conv2dVariant| variant.name().replace('-', "_");
    let named = Conv2dVariant::FORWARD.into_iter().filter(|variant| name.contains(&written(variant)));
    named.max_by_key(|variant| variant.name().len()).filter(|_| name.starts_with("conv2d_"))
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
    fn a_shader_belongs_to_the_variant_of_the_longest_name() {
        for (shader, variant) in [
            ("conv2d_gemm", Some(Conv2dVariant::Gemm)),
            ("conv2d_backward_input_blocks_gemm_64x64_f16", Some(Conv2dVariant::Gemm64x64)),
            ("conv2d_backward_weight_subgroup_quad_pointwise", Some(Conv2dVariant::SubgroupQuad)),
            ("conv2d_subgroup4", Some(Conv2dVariant::Subgroup4)),
            ("conv2d_backward_input_blocks_repair", None),
            ("fingerprint/subgroups", None),
        ] {
            assert_eq!(variant_of(shader), variant, "{shader}");
        }
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
            ("conv2d_cooperative_emulated", "in tests alone"),
            ("sum_partials_wide", "only software drivers"),
            ("winograd4_input_wide_f16", "only software drivers"),
        ] {
            assert!(why(&full, name).is_some_and(|why| why.contains(part)), "{name}: {:?}", why(&full, name));
        }
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
