//! The networks that have a name, and the name of a network.

use std::fmt;

use super::architecture::{Architecture, BlockKind, Shortcut, StemKind};
use crate::error::{Error, Result};

/// What a name stands for: block, depths, stem, shortcut, groups, width per group.
type Row = (&'static str, BlockKind, &'static [usize], StemKind, Shortcut, usize, usize);

/// Table 1 of the paper; ResNeXt (Xie et al., 2016) and Wide ResNet (Zagoruyko, 2016) as torchvision has them; section
/// 4.2's CIFAR networks of 6n+2 layers with option A; pre-activation networks of He et al., 2016 (164 is a bottleneck
/// network of 9n+2 layers, which needs projections because its first stage widens).
const NAMED: &[Row] = {
    use BlockKind::*;
    use Shortcut::{None, Projection, ZeroPad};
    use StemKind::*;
    &[
        ("resnet18", Basic, &[2, 2, 2, 2], Imagenet, Projection, 1, 64),
        ("resnet34", Basic, &[3, 4, 6, 3], Imagenet, Projection, 1, 64),
        ("resnet50", Bottleneck, &[3, 4, 6, 3], Imagenet, Projection, 1, 64),
        ("resnet101", Bottleneck, &[3, 4, 23, 3], Imagenet, Projection, 1, 64),
        ("resnet152", Bottleneck, &[3, 8, 36, 3], Imagenet, Projection, 1, 64),
        ("resnext50_32x4d", Bottleneck, &[3, 4, 6, 3], Imagenet, Projection, 32, 4),
        ("resnext101_32x8d", Bottleneck, &[3, 4, 23, 3], Imagenet, Projection, 32, 8),
        ("resnext101_64x4d", Bottleneck, &[3, 4, 23, 3], Imagenet, Projection, 64, 4),
        ("wide_resnet50_2", Bottleneck, &[3, 4, 6, 3], Imagenet, Projection, 1, 128),
        ("wide_resnet101_2", Bottleneck, &[3, 4, 23, 3], Imagenet, Projection, 1, 128),
        ("resnet20", Basic, &[3, 3, 3], Cifar, ZeroPad, 1, 64),
        ("resnet32", Basic, &[5, 5, 5], Cifar, ZeroPad, 1, 64),
        ("resnet44", Basic, &[7, 7, 7], Cifar, ZeroPad, 1, 64),
        ("resnet56", Basic, &[9, 9, 9], Cifar, ZeroPad, 1, 64),
        ("resnet110", Basic, &[18, 18, 18], Cifar, ZeroPad, 1, 64),
        ("plain18", Plain, &[2, 2, 2, 2], Imagenet, None, 1, 64),
        ("plain34", Plain, &[3, 4, 6, 3], Imagenet, None, 1, 64),
        ("plain20", Plain, &[3, 3, 3], Cifar, None, 1, 64),
        ("plain32", Plain, &[5, 5, 5], Cifar, None, 1, 64),
        ("plain44", Plain, &[7, 7, 7], Cifar, None, 1, 64),
        ("plain56", Plain, &[9, 9, 9], Cifar, None, 1, 64),
        ("plain110", Plain, &[18, 18, 18], Cifar, None, 1, 64),
        ("preact-resnet20", PreactBasic, &[3, 3, 3], Cifar, ZeroPad, 1, 64),
        ("preact-resnet56", PreactBasic, &[9, 9, 9], Cifar, ZeroPad, 1, 64),
        ("preact-resnet110", PreactBasic, &[18, 18, 18], Cifar, ZeroPad, 1, 64),
        ("preact-resnet164", PreactBottleneck, &[18, 18, 18], Cifar, Projection, 1, 64),
        ("preact-resnet50", PreactBottleneck, &[3, 4, 6, 3], Imagenet, Projection, 1, 64),
    ]
};

impl Architecture {
    /// The network with this name: 1,000 classes after an `imagenet` stem, 10 after a `cifar` one. The error lists the
    /// names.
    pub fn named(name: &str) -> Result<Self> {
        let row = NAMED.iter().find(|row| row.0 == name).ok_or_else(|| {
            let names = Architecture::names().collect::<Vec<_>>().join(", ");
            Error::Usage(format!("there is no architecture named {name:?}; the names are {names}"))
        })?;
        build(row)
    }

    /// Every name that [`named`](Self::named) takes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|row| row.0)
    }

    /// The name of this network, whatever its number of classes; None if it has no name.
    pub fn name(&self) -> Option<&'static str> {
        let is_this = |row: &&Row| {
            (row.1, row.2) == (self.block, &self.depths)
                && build(row).is_ok_and(|named| named.with_classes(self.classes) == *self)
        };
        NAMED.iter().find(is_this).map(|row| row.0)
    }
}

fn build(&(_, block, depths, stem, shortcut, groups, width_per_group): &Row) -> Result<Architecture> {
    Ok(Architecture { shortcut, groups, width_per_group, ..Architecture::new(block, depths, stem)? })
}

impl fmt::Display for Architecture {
    /// The name, or what sets the network apart: `bottleneck ResNet 3-4-6-3, widths 32-64-128-256, stride in 1x1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            return f.write_str(name);
        }
        let dashed = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
        let (depths, widths) = (dashed(&self.depths), dashed(&self.widths));
        write!(f, "{} ResNet {depths}, widths {widths}, {} stem {}", self.block, self.stem.kind, self.stem.width)?;
        if self.block.is_bottleneck() {
            write!(f, ", stride in {}", self.stride_in)?;
        }
        if (self.groups, self.width_per_group) != (1, 64) {
            write!(f, ", {} groups of width {}", self.groups, self.width_per_group)?;
        }
        if !self.shortcut.is_none() {
            write!(f, ", {} shortcuts", self.shortcut)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_valid_and_its_own() {
        for name in Architecture::names() {
            let architecture = Architecture::named(name).unwrap();
            architecture.validate().unwrap();
            assert_eq!(architecture.clone().with_classes(7).name(), Some(name));
            assert_eq!(Architecture::from_json(&architecture.to_json().unwrap()).unwrap(), architecture);
        }
    }

    #[test]
    fn an_unnamed_network_is_described() {
        let mut thin = Architecture::named("resnet50").unwrap();
        thin.widths = vec![32, 64, 128, 256];
        assert_eq!(thin.name(), None);
        let text = thin.to_string();
        assert!(text.contains("bottleneck ResNet 3-4-6-3, widths 32-64-128-256"), "{text}");
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let message = Architecture::named("resnet51").unwrap_err().to_string();
        assert!(message.contains("resnet51") && message.contains("resnet50,"), "{message}");
    }
}
