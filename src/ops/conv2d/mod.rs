//! Convolutions: one spec, a family of kernels (`shaders/conv2d_*.wgsl`), bias, residual and ReLU fused.
//!
//! From the ground up: [`Conv2d`] is a convolution, [`Conv2dPass`] one of its three passes, [`Conv2dAlgorithm`] a way to
//! compute them. [`ConvPlan`] combines them with the shape of the maps: it knows the layout of the weight ([`WeightLayout`]) and
//! appends the pass to a recording. Inside, `direct` runs one kernel over maps, `weight_gradient` one over the pixels of two maps, and
//! `winograd_pass` and `depth` transform maps around these.

mod algorithm;
mod blocks;
mod choice;
mod depth;
mod direct;
mod epilogue;
mod geometry;
mod krsc;
mod packing;
mod packing_on_gpu;
mod pass;
mod plan;
mod spec;
mod split;
mod sums;
mod switch;
mod tiles;
mod uniforms;
mod weight;
mod weight_gradient;
mod winograd;
mod winograd_pass;
mod winograd_weight;

pub use algorithm::Conv2dAlgorithm;
pub use depth::SpaceToDepth;
pub use epilogue::{Epilogue, GradEpilogue};
pub use pass::Conv2dPass;
pub(super) use pass::Direction;
pub use plan::{ConvOperands, ConvPlan};
pub use spec::Conv2d;
pub use split::MOST_PARTS;
pub(super) use sums::sum_partials;
pub use sums::sum_pixels;
pub use switch::{Conv2dSwitch, ConvTarget};
pub use weight::WeightLayout;
pub use winograd::{Winograd, WinogradTile};
