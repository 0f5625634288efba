//! Weights to start from: a fresh network as torchvision draws it, and a pretrained one with a fresh head.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::head::{Head, HeadShape};
use crate::error::{Error, Result};
use crate::model::{Architecture, ParameterKind, ParameterSpec, TensorSource};

/// The random stream of the convolutions; the head's is next to it.
const STREAM: u64 = u64::MAX - 1;

/// Tensors in memory, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors(pub BTreeMap<String, Vec<f32>>);

impl TensorSource for Tensors {
    fn tensor(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        let found = self.0.get(name).map(|data| Cow::Borrowed(data.as_slice()));
        found.ok_or_else(|| Error::shape(name, "is not among the tensors; the network has another architecture"))
    }
}

/// Fresh weights, as `torchvision.models.resnet` initialises them: convolutions normal with variance 2 / fan_out (He et al.,
/// 2015; `kaiming_normal_`, `mode="fan_out"`), normalisations 1 and 0, running statistics 0 and 1, the head as
/// `torch.nn.Linear`. The numbers come from ChaCha8 seeded with `seed`.
pub fn fresh(architecture: &Architecture, seed: u64) -> Tensors {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(STREAM);
    let draw = |spec: &ParameterSpec, rng: &mut ChaCha8Rng| match spec.kind {
        ParameterKind::ConvWeight => {
            let fan_out = spec.shape[0] * spec.shape[2] * spec.shape[3];
            let deviation = (2.0 / fan_out as f64).sqrt();
            (0..spec.len()).map(|_| (normal(rng) * deviation) as f32).collect()
        }
        ParameterKind::BnWeight | ParameterKind::BnVar => vec![1.0; spec.len()],
        _ => vec![0.0; spec.len()],
    };
    let specs = architecture.parameters();
    let mut tensors: BTreeMap<_, _> = specs.iter().map(|spec| (spec.name.clone(), draw(spec, &mut rng))).collect();
    tensors.extend(fresh_head(architecture, seed));
    Tensors(tensors)
}

/// The tensors of `source`, but with a fresh head of as many classes as `architecture` has.
pub fn with_fresh_head(architecture: &Architecture, source: &dyn TensorSource, seed: u64) -> Result<Tensors> {
    let mut tensors: BTreeMap<_, _> = fresh_head(architecture, seed).into_iter().collect();
    for spec in architecture.parameters() {
        if !tensors.contains_key(&spec.name) {
            tensors.insert(spec.name.clone(), source.tensor(&spec.name)?.into_owned());
        }
    }
    Ok(Tensors(tensors))
}

fn fresh_head(architecture: &Architecture, seed: u64) -> [(String, Vec<f32>); 2] {
    let shape = HeadShape { features: architecture.features(), classes: architecture.classes };
    let Head { weight, bias, .. } = Head::random(shape, seed);
    let name = architecture.layers().head.name;
    [(format!("{name}.weight"), weight), (format!("{name}.bias"), bias)]
}

/// A normal deviate, by Box and Muller.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    // (0, 1], so that the logarithm is finite.
    let mut unit = || (f64::from(rng.next_u32() >> 8) + 1.0) / f64::from(1 << 24);
    let radius = (-2.0 * unit().ln()).sqrt();
    radius * (std::f64::consts::TAU * unit()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn convolutions_have_hes_variance() {
        let architecture = Architecture::named("resnet20").unwrap();
        let tensors = fresh(&architecture, 5);
        let weight = tensors.tensor("layer3.1.conv1.weight").unwrap();
        let n = weight.len() as f64;
        let mean = weight.iter().map(|&w| f64::from(w)).sum::<f64>() / n;
        let variance = weight.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / n;
        let expected = 2.0 / (64.0 * 9.0);
        assert!(mean.abs() < 0.001 && (variance / expected - 1.0).abs() < 0.03, "{mean} {variance}");
        let beyond = weight.iter().filter(|w| f64::from(w.abs()) > 2.0 * expected.sqrt()).count() as f64 / n;
        assert!((beyond - 0.0455).abs() < 0.005, "not normal: {beyond} beyond two deviations");
        assert_eq!(tensors.tensor("bn1.weight").unwrap()[..], [1.0; 16]);
        assert_eq!(tensors.tensor("bn1.running_var").unwrap()[..], [1.0; 16]);
        assert_eq!(tensors.tensor("bn1.bias").unwrap()[..], [0.0; 16]);
    }

    #[test]
    fn the_seed_decides() {
        let architecture = Architecture::named("resnet20").unwrap();
        assert_eq!(fresh(&architecture, 1), fresh(&architecture, 1));
        assert_ne!(fresh(&architecture, 1), fresh(&architecture, 2));
        let more = architecture.clone().with_classes(7);
        let tensors = with_fresh_head(&more, &fresh(&architecture, 1), 2).unwrap();
        assert_eq!(tensors.tensor("fc.bias").unwrap().len(), 7);
        assert_eq!(tensors.0["conv1.weight"], fresh(&architecture, 1).0["conv1.weight"]);
        assert!(tensors.tensor("fc.nothing").is_err());
    }
}
