//! The backward pass through residual, plain and pre-activation blocks.

use super::options::Recompute;
use super::units::{Grad, Pass, Wanted};
use crate::error::{Error, Result};
use crate::model::layers::BlockShortcut;
use crate::model::walk::{WalkedBlock, walk_block};
use crate::ops::shortcut_pad::shortcut_pad_backward;
use crate::ops::{FeatureMap, elementwise};

/// A block as it was run.
pub(super) type SavedBlock<'a> = WalkedBlock<'a, Pass<'a>>;

impl<'a> Pass<'a> {
    /// The gradient of the block's input, if `wanted`, from the gradient `g` of its output. With recomputation the block is first
    /// run again, so that the memory of its inner maps was free in between.
    pub fn any_block_backward(
        &mut self,
        mut saved: SavedBlock<'a>,
        g: Grad,
        wanted: Option<Wanted>,
    ) -> Result<Option<Grad>> {
        if self.options.recompute == Recompute::Blocks {
            self.replaying = true;
            saved.inside = walk_block(self, saved.block, saved.input)?.inside;
            self.replaying = false;
        }
        if saved.block.preact {
            self.preact_block_backward(&saved, g.map, wanted.is_some())
        } else {
            self.block_backward(&saved, g, wanted)
        }
    }

    fn block_backward(&mut self, saved: &SavedBlock, g: Grad, wanted: Option<Wanted>) -> Result<Option<Grad>> {
        let shortcut = &saved.block.shortcut;
        // With a shortcut, the gradient through the last ReLU has two paths.
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
        // What is added to the gradient later passes through the ReLU as well.
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

    /// Adds the gradient through a zero-padded shortcut, which the epilogue of a convolution cannot add.
    fn add_padded(&mut self, saved: &SavedBlock, g: FeatureMap, below: Option<Grad>) -> Result<Option<Grad>> {
        match (&saved.block.shortcut, below) {
            (BlockShortcut::ZeroPad(pad), Some(below)) => {
                let map = shortcut_pad_backward(self.recording, &saved.block.name, g, below.map, *pad)?;
                Ok(Some(Grad::of(map)))
            }
            _ => Ok(below),
        }
    }

    fn preact_block_backward(&mut self, saved: &SavedBlock, g: FeatureMap, wanted: bool) -> Result<Option<Grad>> {
        let mut below = g;
        let inside = &saved.inside;
        for (index, unit) in inside.units.iter().enumerate().rev() {
            // The projection reads the first ReLU's output, so its gradient joins there.
            let added = match &inside.projection {
                Some(projection) if index == 0 => self.conv_backward(&projection.conv, g, Some(Wanted::default()))?,
                _ => None,
            };
            let end = Wanted { residual: added.map(|g| g.map), through_relu: true };
            let activated = self.conv_backward(&unit.conv, below, Some(end))?;
            let activated = activated.ok_or_else(|| Error::shape(&saved.block.name, "its gradient was dropped"))?;
            let norm = match index {
                0 => inside.first_norm.as_ref(),
                _ => inside.units[index - 1].norm.as_ref(),
            };
            let norm = norm.ok_or_else(|| Error::shape(&saved.block.name, "has no normalisation"))?;
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
