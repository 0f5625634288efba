//! Refuses descriptions that can't be built, or that would need an unreasonable amount of memory.

use std::collections::BTreeSet;

use super::architecture::{Architecture, BlockKind, MAX_STAGES, Pool, Shortcut, StemKind, invalid};
use super::layers::BlockShortcut;
use crate::error::Result;

/// The most residual blocks that a network may have; ResNet-1001 has 333.
pub const MAX_BLOCKS: usize = 1000;
/// The most channels of any feature map.
pub const MAX_CHANNELS: usize = 65_536;
/// The most classes.
pub const MAX_CLASSES: usize = 1_000_000;
/// The most trained parameters, a bound on memory when a description comes from outside (8 GiB in f32).
pub const MAX_PARAMETERS: u64 = 1 << 31;

impl Architecture {
    /// Refuses a description that can't be built or that would need an unreasonable amount of memory; the error names the key. Descriptions
    /// read from JSON have passed it already.
    pub fn validate(&self) -> Result<()> {
        let within = |key: &str, value: usize, most: usize| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(invalid(format!("`{key}` is {value}; it takes 1 to {most}"))),
        };
        within("depths' number of stages", self.depths.len(), MAX_STAGES)?;
        for &depth in &self.depths {
            within("depths", depth, MAX_BLOCKS)?;
        }
        within("depths' sum", self.depths.iter().sum(), MAX_BLOCKS)?;
        if self.widths.len() != self.depths.len() {
            let (widths, depths) = (self.widths.len(), self.depths.len());
            return Err(invalid(format!("`widths` has {widths} stages but `depths` has {depths}; give one of each")));
        }
        within("expansion", self.expansion, 64)?;
        within("groups", self.groups, MAX_CHANNELS)?;
        within("width_per_group", self.width_per_group, MAX_CHANNELS)?;
        for &width in &self.widths {
            within("widths", width, MAX_CHANNELS)?;
            within("widths x expansion", width * self.expansion, MAX_CHANNELS)?;
            // Two factors at a time: three of up to 65,536 don't fit 32 bits.
            let group = width as u64 * self.width_per_group as u64 / 64;
            let inner = usize::try_from(group.saturating_mul(self.groups as u64)).unwrap_or(usize::MAX);
            within("widths x width_per_group / 64 x groups", inner, MAX_CHANNELS)?;
        }
        within("classes", self.classes, MAX_CLASSES)?;
        if !(self.bn_eps > 0.0 && self.bn_eps <= 1.0) {
            return Err(invalid(format!("`bn_eps` is {}; it takes a number above 0, up to 1", self.bn_eps)));
        }
        if !self.block.is_bottleneck() {
            let fixed = [("expansion", self.expansion, 1), ("groups", self.groups, 1)];
            for (key, value, only) in fixed.into_iter().chain([("width_per_group", self.width_per_group, 64)]) {
                if value != only {
                    return Err(invalid(format!("`{key}` is {value}; the block `{}` takes only {only}", self.block)));
                }
            }
        }
        if self.shortcut.is_none() != (self.block == BlockKind::Plain) {
            let problem = format!("`shortcut` `{}` does not go with the block `{}`", self.shortcut, self.block);
            return Err(invalid(problem + "; only plain blocks are without a shortcut"));
        }
        self.validate_stem()?;
        self.validate_shortcuts()?;
        let parameters = self.parameter_count();
        if parameters > MAX_PARAMETERS {
            let problem = format!("it has {parameters} parameters; at most {MAX_PARAMETERS} are taken");
            return Err(invalid(problem + ", so make it narrower or shallower"));
        }
        Ok(())
    }

    fn validate_stem(&self) -> Result<()> {
        if !(1..=MAX_CHANNELS).contains(&self.stem.width) {
            return Err(invalid(format!("`stem.width` is {}; it takes 1 to {MAX_CHANNELS}", self.stem.width)));
        }
        match (self.stem.kind, self.stem.pool) {
            (StemKind::Cifar, None) => Ok(()),
            (StemKind::Imagenet, None) => Err(invalid("`stem.pool` is missing; an `imagenet` stem has one")),
            (_, Some(pool)) => {
                let Pool { kernel_size, stride, padding, .. } = pool;
                if !(1..=16).contains(&kernel_size) || !(1..=16).contains(&stride) || padding > kernel_size / 2 {
                    let found =
                        format!("`stem.pool` has kernel_size {kernel_size}, stride {stride}, padding {padding}");
                    return Err(invalid(found + "; it takes 1 to 16, 1 to 16, and at most half of the kernel"));
                }
                Ok(())
            }
        }
    }

    fn validate_shortcuts(&self) -> Result<()> {
        let layers = self.layers();
        let names: BTreeSet<&str> = layers.blocks().map(|block| block.name.as_str()).collect();
        for name in &self.extra_projections {
            if !names.contains(name.as_str()) || self.block == BlockKind::Plain {
                let shown: String = name.chars().take(64).collect();
                return Err(invalid(format!("`extra_projections` names {shown:?}, which is no block with a shortcut")));
            }
        }
        for block in layers.blocks() {
            let (from, to) = (block.in_channels(), block.out_channels());
            let BlockShortcut::ZeroPad(pad) = &block.shortcut else { continue };
            let (name, shortcut) = (&block.name, self.shortcut);
            if from > to {
                let problem = format!("`shortcut` `{shortcut}` can't go from {from} to {to} channels in {name}");
                return Err(invalid(problem + "; use `projection`"));
            }
            if shortcut == Shortcut::ZeroPadBoth && (!(to - from).is_multiple_of(2) || !pad.before.is_multiple_of(4)) {
                let problem = format!("`shortcut` `{shortcut}` can't go from {from} to {to} channels in {name}");
                return Err(invalid(problem + ": half of the new ones must be a multiple of 4"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_key() {
        for (json, word) in [
            (r#"{"block":"basic","depths":[2],"depth":3}"#, "`depth`"),
            (r#"{"block":"basic","depths":[2],"stem":{"kernel":7}}"#, "`kernel`"),
            (r#"{"block":"basic","depths":[2],"stem":{"pool":{"dilation":2}}}"#, "`dilation`"),
            (r#"{"block":"dense","depths":[2]}"#, "`dense`"),
            (r#"{"depths":[2]}"#, "`block`"),
            (r#"{"block":"basic"}"#, "`depths`"),
            (r#"{"block":"basic","depths":[]}"#, "`depths`"),
            (r#"{"block":"basic","depths":[0]}"#, "`depths`"),
            (r#"{"block":"basic","depths":[600,600]}"#, "sum"),
            (r#"{"block":"basic","depths":[18446744073709551615,2]}"#, "`depths`"),
            (r#"{"block":"basic","depths":[1],"widths":[-4]}"#, "-4"),
            (r#"{"block":"basic","depths":[1],"widths":[64,128]}"#, "`widths`"),
            (r#"{"block":"basic","depths":[1],"widths":[18446744073709551615]}"#, "`widths`"),
            (r#"{"block":"basic","depths":[1],"expansion":4}"#, "`expansion`"),
            (r#"{"block":"basic","depths":[1],"groups":32}"#, "`groups`"),
            (r#"{"block":"bottleneck","depths":[1],"groups":60000,"width_per_group":60000}"#, "groups"),
            (r#"{"block":"bottleneck","depths":[1],"widths":[1],"width_per_group":4}"#, "width_per_group"),
            (r#"{"block":"basic","depths":[1],"bn_eps":0}"#, "`bn_eps`"),
            (r#"{"block":"basic","depths":[1],"classes":0}"#, "`classes`"),
            (r#"{"block":"basic","depths":[1],"shortcut":"none"}"#, "`shortcut`"),
            (r#"{"block":"basic","depths":[1],"stem":{"kind":"cifar","pool":{"stride":0}}}"#, "`stem.pool`"),
            (
                r#"{"block":"basic","depths":[1,1],"widths":[4,8],"stem":{"kind":"cifar"},"shortcut":"zero-pad-both"}"#,
                "of 4",
            ),
            (r#"{"block":"basic","depths":[1],"stem":{"pool":{"padding":2}}}"#, "`stem.pool`"),
            (r#"{"block":"basic","depths":[1],"stem":{"width":0}}"#, "`stem.width`"),
            (r#"{"block":"basic","depths":[1],"widths":[8],"shortcut":"zero-pad"}"#, "`zero-pad`"),
            (r#"{"block":"basic","depths":[1],"extra_projections":["layer2.0"]}"#, "layer2.0"),
            (r#"{"block":"basic","depths":[200],"widths":[65536]}"#, "parameters"),
            (r#"{"block":"basic","depths":[1]"#, "EOF"),
        ] {
            let message = Architecture::from_json(json).expect_err(json).to_string();
            assert!(message.contains(word), "{json}: {message}");
        }
    }
}
