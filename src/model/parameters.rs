//! An architecture's tensors, and what they cost: the state dict, the number of parameters, the multiply-accumulates.

use super::architecture::Architecture;
use super::layers::{ConvBn, Linear};
use crate::error::{Error, Result};

/// One tensor of the state dict.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// torchvision's name.
    pub name: String,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
    pub kind: ParameterKind,
}

/// What a tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// [out_channels, in_channels / groups, kernel, kernel].
    ConvWeight,
    /// A normalisation's scale, `[channels]`; the next three likewise.
    BnWeight,
    BnBias,
    /// The running mean, a buffer that no optimiser sees.
    BnMean,
    /// The running variance, likewise.
    BnVar,
    /// [classes, features].
    LinearWeight,
    /// `[classes]`.
    LinearBias,
}

impl ParameterKind {
    /// Whether an optimiser changes it; running statistics are buffers.
    pub fn is_trained(self) -> bool {
        !matches!(self, ParameterKind::BnMean | ParameterKind::BnVar)
    }
}

impl ParameterSpec {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Always false: every dimension is at least 1.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Architecture {
    /// Every tensor of the state dict in torchvision's order, without the `num_batches_tracked` counters.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let layers = self.layers();
        let mut specs = Vec::new();
        for conv in layers.convs() {
            let weight = ParameterSpec {
                name: format!("{}.weight", conv.conv),
                shape: conv.weight_shape().to_vec(),
                kind: ParameterKind::ConvWeight,
            };
            let bn = conv.bn.iter().flat_map(|name| bn_parameters(name, conv.bn_channels()));
            if conv.bn_first {
                specs.extend(bn);
                specs.push(weight);
            } else {
                specs.push(weight);
                specs.extend(bn);
            }
        }
        specs.extend(layers.final_bn.iter().flat_map(|bn| bn_parameters(&bn.name, bn.channels)));
        let Linear { name, in_features, out_features } = layers.head;
        let linear = [
            ("weight", vec![out_features, in_features], ParameterKind::LinearWeight),
            ("bias", vec![out_features], ParameterKind::LinearBias),
        ];
        let spec = |(suffix, shape, kind)| ParameterSpec { name: format!("{name}.{suffix}"), shape, kind };
        specs.extend(linear.map(spec));
        specs
    }

    /// Number of trained parameters: running statistics are not counted, as PyTorch's `parameters()` has it.
    pub fn parameter_count(&self) -> u64 {
        // u64 throughout: an unchecked description may exceed usize on a 32-bit machine.
        let product = |spec: &ParameterSpec| spec.shape.iter().map(|&size| size as u64).product::<u64>();
        self.parameters().iter().filter(|spec| spec.kind.is_trained()).map(product).sum()
    }

    /// Multiply-accumulates of one image's forward pass, `height` x `width` pixels: convolutions and the classifier,
    /// as the published figures count them. An error names the layer for which the image is too small.
    pub fn macs(&self, height: usize, width: usize) -> Result<u64> {
        let layers = self.layers();
        let mut total = 0u64;
        let mut apply = |conv: &ConvBn, size: (usize, usize)| {
            let out =
                conv.output_size(size.0).zip(conv.output_size(size.1)).ok_or_else(|| too_small(&conv.conv, size))?;
            let factors = conv.weight_shape().into_iter().chain([out.0, out.1]);
            total = total.saturating_add(factors.fold(1, |product: u64, factor| product.saturating_mul(factor as u64)));
            Ok::<_, Error>(out)
        };
        let mut size = apply(&layers.stem.conv, (height, width))?;
        if let Some(pool) = layers.stem.pool {
            size = pool.output_size(size.0).zip(pool.output_size(size.1)).ok_or_else(|| too_small("max pool", size))?;
        }
        for block in layers.blocks() {
            if let Some(projection) = block.projection() {
                apply(projection, size)?;
            }
            for conv in &block.convs {
                size = apply(conv, size)?;
            }
        }
        Ok(total.saturating_add(layers.head.in_features as u64 * layers.head.out_features as u64))
    }
}

fn too_small(layer: &str, (height, width): (usize, usize)) -> Error {
    Error::shape(layer, format!("its window does not fit a feature map of {height} x {width}; use larger images"))
}

fn bn_parameters(name: &str, channels: usize) -> [ParameterSpec; 4] {
    use ParameterKind::*;
    [("weight", BnWeight), ("bias", BnBias), ("running_mean", BnMean), ("running_var", BnVar)]
        .map(|(suffix, kind)| ParameterSpec { name: format!("{name}.{suffix}"), shape: vec![channels], kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Pool;

    fn named(name: &str) -> Architecture {
        Architecture::named(name).unwrap()
    }

    /// torchvision's documented `num_params` and GMAC (`_ops`); the CIFAR figures by Table 6 of the paper.
    #[test]
    fn parameters_and_macs_are_the_published_ones() {
        for (name, parameters, gmacs) in [
            ("resnet18", 11_689_512, "1.814"),
            ("resnet34", 21_797_672, "3.664"),
            ("resnet50", 25_557_032, "4.089"),
            ("resnet101", 44_549_160, "7.801"),
            ("resnet152", 60_192_808, "11.514"),
            ("resnext50_32x4d", 25_028_904, "4.230"),
            ("resnext101_32x8d", 88_791_336, "16.414"),
            ("resnext101_64x4d", 83_455_272, "15.460"),
            ("wide_resnet50_2", 68_883_240, "11.398"),
            ("wide_resnet101_2", 126_886_696, "22.753"),
        ] {
            let architecture = named(name);
            assert_eq!(architecture.parameter_count(), parameters, "{name}");
            let macs = architecture.macs(224, 224).unwrap();
            assert_eq!(format!("{:.3}", macs as f64 / 1e9), gmacs, "{name}");
        }
        for (name, millions) in
            [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85), ("resnet110", 1.7)]
        {
            let found = named(name).parameter_count() as f64 / 1e6;
            assert!((found - millions).abs() < 0.04, "{name}: {found}");
        }
        assert_eq!(named("resnet20").parameter_count(), 269_722);
        assert_eq!(named("plain20").parameter_count(), 269_722);
    }

    #[test]
    fn state_dict_order_is_torchvisions() {
        let specs = named("resnet18").parameters();
        let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(
            names[..6],
            ["conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "layer1.0.conv1.weight"]
        );
        assert_eq!(names[names.len() - 2..], ["fc.weight", "fc.bias"]);
        let downsample = names.iter().position(|name| *name == "layer2.0.downsample.0.weight").unwrap();
        assert_eq!(names[downsample - 1], "layer2.0.bn2.running_var");
        assert_eq!(specs[downsample].shape, [128, 64, 1, 1]);
        // 122 entries in torchvision, of which 20 are num_batches_tracked.
        assert_eq!(names.len(), 102);
        assert_eq!(named("resnet50").parameters().len(), 320 - 53);
    }

    #[test]
    fn an_image_that_is_too_small_is_an_error() {
        let mut architecture = named("resnet18");
        assert!(architecture.macs(1, 1).is_ok());
        architecture.stem.pool = Some(Pool { padding: 0, ..Pool::default() });
        assert!(architecture.macs(3, 3).unwrap_err().to_string().contains("max pool"));
    }
}
