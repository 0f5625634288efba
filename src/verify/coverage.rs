//! Which of the crate's shaders the cases of a run used: a new kernel that no case runs would not be verified.

use std::collections::BTreeSet;

use super::requirements::lacks;
use crate::gpu::shaders::{self, Shader};
use crate::gpu::{AdapterReport, Gpu};

/// Shaders for measurements and probes, which have no cases.
const NO_KERNELS: &[&str] = &["peak", "fingerprint/"];

/// Names of the shaders that `gpu` has compiled: the requested one, and the form that ran in its place.
pub(super) fn compiled(gpu: &Gpu) -> BTreeSet<String> {
    let specified = gpu.compiled().into_iter().map(|spec| spec.shader_name());
    specified.chain(gpu.compiled_shaders()).map(str::to_owned).collect()
}

/// Names of the shaders that `adapter` can run and that are not among those that `ran`.
pub(super) fn left_out(adapter: &AdapterReport, ran: &BTreeSet<String>) -> Vec<String> {
    let missing = |shader: &&Shader| {
        let measures = NO_KERNELS.iter().any(|start| shader.name.starts_with(start));
        let runs = shader.entry_points.iter().any(|entry| lacks(adapter, shader, entry).is_none());
        !measures && runs && !ran.contains(shader.name)
    };
    shaders::all().filter(missing).map(|shader| shader.name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt as _;

    use super::*;
    use crate::gpu::list_adapters;

    #[test]
    fn what_no_case_ran_is_named() {
        let mut adapter =
            list_adapters(None).block_on().into_iter().next().expect("an adapter; scripts/setup.sh installs one");
        (adapter.features.subgroups, adapter.features.f16, adapter.features.int64) = (false, false, false);
        adapter.subgroup_size = [0; 2];
        (adapter.features.matrices_f16, adapter.features.matrices_f16_eight) = (false, false);
        let missing = left_out(&adapter, &BTreeSet::new());
        assert!(missing.iter().any(|name| name == "conv2d_gemm") && missing.iter().any(|name| name == "relu"));
        for out_of_reach in ["f16", "subgroup", "_wide", "peak", "fingerprint", "cooperative"] {
            assert!(!missing.iter().any(|name| name.contains(out_of_reach)), "{out_of_reach}: {missing:?}");
        }
        let ran: BTreeSet<String> = missing.iter().filter(|name| *name != "relu").cloned().collect();
        assert_eq!(left_out(&adapter, &ran), ["relu"]);
    }
}
