//! Residual, plain and pre-activation blocks, forward and back.

use super::options::Recompute;
use super::units::{Grad, Pass, Unit, Wanted};
use crate::error::{Error, Result};
use crate::model::layers::{Block, BlockShortcut, ConvBn};
use crate::ops::shortcut_pad::{shortcut_pad, shortcut_pad_backward};
use crate::ops::{FeatureMap, elementwise};

/// A block as it was run.
pub(super) struct SavedBlock<'a> {
    block: &'a Block,
    input: FeatureMap,
    pub output: FeatureMap,
    inside: Inside<'a>,
}

/// The layers inside of a block as they were run.
struct Inside<'a> {
    units: Vec<Unit<'a>>,
    projection: Option<Unit<'a>>,
}

impl SavedBlock<'_> {
    pub fn name(&self) -> &str {
        &self.block.name
    }

    /// Whether the output comes out of a ReLU.
    pub fn ends_in_relu(&self) -> bool {
        !self.block.preact
    }
}

impl<'a> Pass<'a> {
    /// The forward pass of a block of any kind over `x`.
    pub fn any_block(&mut self, block: &'a Block, x: FeatureMap) -> Result<SavedBlock<'a>> {
        let (output, inside) = if block.preact { self.preact_block(block, x)? } else { self.block(block, x)? };
        Ok(SavedBlock { block, input: x, output, inside })
    }

    /// The gradient by the block's input, where it is `wanted`, from `g` by its output. With recomputation the block is first
    /// run again: what the forward pass had inside of it was not needed since, so its memory was free for others.
    pub fn any_block_backward(
        &mut self,
        mut saved: SavedBlock<'a>,
        g: Grad,
        wanted: Option<Wanted>,
    ) -> Result<Option<Grad>> {
        if self.options.recompute == Recompute::Blocks {
            self.replaying = true;
            saved.inside = self.any_block(saved.block, saved.input)?.inside;
            self.replaying = false;
        }
        if saved.block.preact {
            self.preact_block_backward(&saved, g.map, wanted.is_some())
        } else {
            self.block_backward(&saved, g, wanted)
        }
    }

    /// What is added to the residual branch of a block on `x`, and the projection that made it, if `project` had to.
    fn shortcut(
        &mut self,
        block: &'a Block,
        x: FeatureMap,
        project: impl FnOnce(&mut Self, &'a ConvBn) -> Result<(FeatureMap, Unit<'a>)>,
    ) -> Result<(Option<FeatureMap>, Option<Unit<'a>>)> {
        Ok(match &block.shortcut {
            BlockShortcut::None => (None, None),
            BlockShortcut::Identity => (Some(x), None),
            BlockShortcut::ZeroPad(pad) => {
                (Some(shortcut_pad(self.recording, &block.name, x, block.out_channels(), *pad)?), None)
            }
            BlockShortcut::Projection(conv) => {
                let (y, unit) = project(self, conv)?;
                (Some(y), Some(unit))
            }
        })
    }

    fn block(&mut self, block: &'a Block, x: FeatureMap) -> Result<(FeatureMap, Inside<'a>)> {
        let (shortcut, projection) = self.shortcut(block, x, |pass, conv| pass.conv_norm(conv, x, None, false))?;
        let mut units = Vec::new();
        let mut out = x;
        for (index, conv) in block.convs.iter().enumerate() {
            let last = index + 1 == block.convs.len();
            let (y, unit) = self.conv_norm(conv, out, if last { shortcut } else { None }, true)?;
            out = y;
            units.push(unit);
        }
        Ok((out, Inside { units, projection }))
    }

    fn block_backward(&mut self, saved: &SavedBlock, g: Grad, wanted: Option<Wanted>) -> Result<Option<Grad>> {
        let shortcut = &saved.block.shortcut;
        // With a shortcut, the gradient through the last ReLU goes two ways.
        let g = match shortcut {
            BlockShortcut::None => g,
            _ if g.through_relu => g,
            _ => {
                let map = elementwise::relu_backward(self.recording, &saved.block.name, saved.output, g.map)?;
                Grad { map, through_relu: true }
            }
        };
        let added = match (shortcut, &saved.inside.projection) {
            (BlockShortcut::Identity, _) => Some(g.map),
            (_, Some(unit)) => self.conv_norm_backward(unit, g, wanted.map(|_| Wanted::default()))?.map(|g| g.map),
            _ => None,
        };
        // What is added to the gradient later goes through the ReLU as well.
        let padded = matches!(shortcut, BlockShortcut::ZeroPad(_));
        let lowest = wanted.map(|wanted| Wanted { residual: added, through_relu: wanted.through_relu && !padded });
        let inner = Some(Wanted { residual: None, through_relu: true });
        let mut below = Some(g);
        for (index, unit) in saved.inside.units.iter().enumerate().rev() {
            let from = below.ok_or_else(|| Error::shape(&saved.block.name, "its gradient was dropped"))?;
            below = self.conv_norm_backward(unit, from, if index == 0 { lowest } else { inner })?;
        }
        self.add_padded(saved, g.map, below)
    }

    /// Adds the gradient through a zero-padded shortcut, which no convolution's epilogue can.
    fn add_padded(&mut self, saved: &SavedBlock, g: FeatureMap, below: Option<Grad>) -> Result<Option<Grad>> {
        match (&saved.block.shortcut, below) {
            (BlockShortcut::ZeroPad(pad), Some(below)) => {
                let map = shortcut_pad_backward(self.recording, &saved.block.name, g, below.map, *pad)?;
                Ok(Some(Grad::of(map)))
            }
            _ => Ok(below),
        }
    }

    /// Normalise, ReLU, convolve, twice or three times; the addition is in the last convolution's epilogue.
    fn preact_block(&mut self, block: &'a Block, x: FeatureMap) -> Result<(FeatureMap, Inside<'a>)> {
        let mut units = Vec::new();
        let mut projection = None;
        let mut shortcut = None;
        let mut out = x;
        for (index, conv) in block.convs.iter().enumerate() {
            let name = conv.bn.as_deref().ok_or_else(|| Error::shape(&conv.conv, "has no normalisation"))?;
            let (activated, norm) = self.norm(name, out, None, true)?;
            if index == 0 {
                (shortcut, projection) = self.shortcut(block, x, |pass, conv| {
                    let (y, saved) = pass.conv(conv, activated, None)?;
                    Ok((y, Unit { conv: saved, norm: None }))
                })?;
            }
            let last = index + 1 == block.convs.len();
            let (z, saved) = self.conv(conv, activated, if last { shortcut } else { None })?;
            out = z;
            units.push(Unit { conv: saved, norm: Some(norm) });
        }
        Ok((out, Inside { units, projection }))
    }

    fn preact_block_backward(&mut self, saved: &SavedBlock, g: FeatureMap, wanted: bool) -> Result<Option<Grad>> {
        let mut below = g;
        for (index, unit) in saved.inside.units.iter().enumerate().rev() {
            // The projection reads the first ReLU's output, so its gradient joins there.
            let added = match &saved.inside.projection {
                Some(projection) if index == 0 => self.conv_backward(&projection.conv, g, Some(Wanted::default()))?,
                _ => None,
            };
            let end = Wanted { residual: added.map(|g| g.map), through_relu: true };
            let activated = self.conv_backward(&unit.conv, below, Some(end))?;
            let activated = activated.ok_or_else(|| Error::shape(&saved.block.name, "its gradient was dropped"))?;
            let norm = unit.norm.as_ref().ok_or_else(|| Error::shape(&saved.block.name, "has no normalisation"))?;
            below = self.norm_backward(norm, activated)?;
        }
        if !wanted {
            return Ok(None);
        }
        match saved.block.shortcut {
            BlockShortcut::Identity => {
                Ok(Some(Grad::of(elementwise::add(self.recording, &saved.block.name, below, g)?)))
            }
            _ => self.add_padded(saved, g, Some(Grad::of(below))),
        }
    }
}
