//! ResNet inference and fine-tuning on any GPU: hand-written WGSL compute shaders, scheduled by wgpu.
//!
//! The tree is the architecture, and imports point one way: [`gpu`] alone knows wgpu; [`ops`] alone knows shaders;
//! [`model`] knows ops; [`weights`], [`data`], [`feed`], `train`, [`bench`] and [`verify`] know models; the command line knows everything.

pub mod bench;
mod cache;
pub mod cli;
pub mod data;
pub mod error;
pub mod feed;
mod fetch;
mod files;
pub mod gpu;
pub mod model;
pub mod ops;
pub mod reference;
pub mod train;
pub mod tune;
pub mod verify;
pub mod weights;

pub use cache::cache_dir;
pub use error::{Error, Result};
