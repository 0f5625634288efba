//! Weights from a few lines of integer arithmetic, identical in Rust and in Python, for references that would be too large to store.
//! `tests/golden/` has the Python twin.
//!
//! Element i of the tensor NAME comes from SplitMix64 (Steele et al., 2014), seeded with the FNV-1a hash of NAME.

use super::Weights;
use super::save::{NamedTensor, safetensors_bytes, with_counters};
use crate::error::Result;
use crate::model::{Architecture, ParameterKind, ParameterSpec};

/// 64-bit FNV-1a.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Element `index` of the stream that starts at `seed`.
pub(crate) fn splitmix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add((index.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn words(name: &str, count: usize) -> impl Iterator<Item = u64> {
    let seed = fnv1a(name);
    (0..count as u64).map(move |index| splitmix(seed, index))
}

/// `count` numbers `f(u)`, u uniform in [0, 1) with 24 bits, computed in f64 and rounded once.
pub fn hash_tensor(name: &str, count: usize, f: impl Fn(f64) -> f64) -> Vec<f32> {
    words(name, count).map(|word| f((word >> 40) as f64 / f64::from(1 << 24)) as f32).collect()
}

/// `count` inputs in [-2, 2).
pub fn hash_input(name: &str, count: usize) -> Vec<f32> {
    hash_tensor(name, count, |u| 4.0 * u - 2.0)
}

/// `count` class numbers below `classes`.
pub fn hash_targets(name: &str, count: usize, classes: u64) -> Vec<i64> {
    words(name, count).map(|word| ((word >> 33) % classes.max(1)) as i64).collect()
}

/// One tensor of `architecture`: He-uniform convolutions, a uniform classifier, normalisations near but not at the
/// identity, so that activations keep their size through the network and every term matters.
pub fn hash_parameter(architecture: &Architecture, spec: &ParameterSpec) -> Vec<f32> {
    let fan_in = match spec.kind {
        ParameterKind::LinearBias => architecture.features(),
        _ => spec.shape.iter().skip(1).product(),
    } as f64;
    hash_tensor(&spec.name, spec.len(), |u| match spec.kind {
        ParameterKind::ConvWeight => (2.0 * u - 1.0) * (6.0 / fan_in).sqrt(),
        ParameterKind::LinearWeight | ParameterKind::LinearBias => (2.0 * u - 1.0) / fan_in.sqrt(),
        ParameterKind::BnWeight => 0.25 + 0.5 * u,
        ParameterKind::BnBias | ParameterKind::BnMean => 0.2 * (u - 0.5),
        ParameterKind::BnVar => 0.5 + u,
    })
}

/// Hash weights for every tensor of `architecture`, with the architecture in the metadata.
pub fn hash_weights(architecture: &Architecture) -> Result<Weights> {
    let specs = architecture.parameters();
    let tensors =
        specs.iter().map(|spec| NamedTensor::new(&spec.name, &spec.shape, hash_parameter(architecture, spec)));
    let tensors: Vec<_> = tensors.collect();
    let label = "hash weights";
    let metadata = super::metadata(architecture, None, None)?;
    Weights::from_bytes(safetensors_bytes(label.as_ref(), &with_counters(&tensors), &metadata)?, label)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The literal values are the Python twin's.
    #[test]
    fn values_equal_pythons() {
        assert_eq!(fnv1a("conv1.weight"), 0x69a2_9a2c_ee47_d254);
        let words: Vec<u64> = [0, 1, 9407].map(|index| splitmix(fnv1a("conv1.weight"), index)).to_vec();
        assert_eq!(words, [0x8b8a_08a8_5128_a1b0, 0xbec2_eba8_2f6f_054f, 0x3321_e55a_792b_b9a9]);

        let architecture = Architecture::named("resnet18").unwrap().with_classes(10);
        let specs = architecture.parameters();
        for (name, index, expected) in [
            ("conv1.weight", 0, 0.018213026225566864),
            ("conv1.weight", 1, 0.0990602895617485),
            ("conv1.weight", 9407, -0.12132500112056732),
            ("bn1.weight", 0, 0.43010199069976807),
            ("bn1.weight", 63, 0.492256224155426),
            ("bn1.bias", 0, -0.06556075811386108),
            ("bn1.running_mean", 63, -0.07152024656534195),
            ("bn1.running_var", 0, 1.1423075199127197),
            ("fc.weight", 0, -0.0013571337331086397),
            ("fc.weight", 5119, 0.022979136556386948),
            ("fc.bias", 9, -0.03460148721933365),
        ] {
            let spec = specs.iter().find(|spec| spec.name == name).unwrap();
            assert_eq!(hash_parameter(&architecture, spec)[index], expected as f32, "{name}[{index}]");
        }
        assert_eq!(hash_input("input", 2), [-1.608_726_7, 0.609_441_5]);
        assert_eq!(hash_targets("target", 6, 10), [3, 6, 6, 9, 0, 9]);
    }

    #[test]
    fn grouped_convolutions_count_their_own_inputs() {
        let architecture = Architecture::named("resnext50_32x4d").unwrap();
        let specs = architecture.parameters();
        let spec = specs.iter().find(|spec| spec.name == "layer1.0.conv2.weight").unwrap();
        assert_eq!(spec.shape, [128, 4, 3, 3]);
        assert_eq!(hash_parameter(&architecture, spec)[0], -0.199_831_19);
    }
}
