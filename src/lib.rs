//! ResNet inference and fine-tuning on any GPU: hand-written WGSL compute shaders, scheduled by wgpu.
//!
//! A photograph through the built-in network:
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use gpu_resnet::data::{Preprocess, decode_file};
//! use gpu_resnet::gpu::{AdapterChoice, Gpu};
//! use gpu_resnet::model::{InputKind, Network, Predictor};
//! use gpu_resnet::weights;
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! // None is the built-in network; a path, a run's folder or a name of `weights list` works too.
//! let weights = weights::open(None)?;
//! let architecture = weights::infer_architecture(&weights)?;
//! weights::check(&weights, &architecture)?;
//! let preprocess = Preprocess::from_json(weights.preprocess().unwrap_or("{}"))?;
//! let Preprocess { mean, std, crop, .. } = preprocess;
//!
//! let gpu = Gpu::open(&AdapterChoice::default())?;
//! let network = Arc::new(Network::new(&gpu, &architecture, &weights)?);
//! let mut predictor = Predictor::new(network, InputKind::Pixels { mean, std }, [crop as usize; 2], 32)?;
//! let image = preprocess.apply(&decode_file(Path::new("tests/golden/photos/coffee.jpg"))?)?;
//! let output = predictor.run_pixels(&image.pixels)?;
//! println!("logits {:?}, {} features", output.logits, output.features.len());
//! # Ok(())
//! # }
//! ```
//!
//! A head for classes of one's own, on features such as those:
//!
//! ```no_run
//! use gpu_resnet::gpu::{AdapterChoice, Gpu};
//! use gpu_resnet::train::{Examples, HeadOptions, HeadShape, HeadTrainer};
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let gpu = Gpu::open(&AdapterChoice::default())?;
//! let train = Examples { features: &[0.0, 1.0, 1.0, 0.0], labels: &[0, 1] };
//! let options = HeadOptions { lr: 1e-2, ..HeadOptions::default() };
//! let mut trainer = HeadTrainer::new(&gpu, HeadShape { features: 2, classes: 2 }, train, None, options, None)?;
//! for epoch in 1..=20 {
//!     let result = trainer.epoch(epoch, |_| Ok(()))?;
//!     println!("epoch {epoch}: loss {}", result.train_loss);
//! }
//! println!("{:?}", trainer.head()?.logits(&[0.0, 1.0]));
//! # Ok(())
//! # }
//! ```
//!
//! One operation, with PyTorch's layouts:
//!
//! ```no_run
//! use gpu_resnet::gpu::{AdapterChoice, Gpu};
//! use gpu_resnet::ops::host::{Array, add_relu};
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let gpu = Gpu::open(&AdapterChoice::default())?;
//! let input = Array::new(&[1, 1, 1, 2], vec![-3.0, 1.0])?;
//! let other = Array::new(&[1, 1, 1, 2], vec![1.0, 1.0])?;
//! assert_eq!(add_relu(&gpu, &input, &other)?.data, [0.0, 2.0]);
//! # Ok(())
//! # }
//! ```
//!
//! Whether an adapter computes right:
//!
//! ```no_run
//! use gpu_resnet::gpu::{AdapterChoice, Gpu};
//! use gpu_resnet::verify::cases::{Suite, cases};
//! use gpu_resnet::verify::check::Checker;
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let gpu = Gpu::open(&AdapterChoice::default())?;
//! let mut checker = Checker::default();
//! for case in cases(Suite::Quick)?.iter().filter(|case| case.to_string().starts_with("conv2d ")) {
//!     println!("{case}: {:?}", checker.check(&gpu, case).result.status);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Every error is an [`Error`], one sentence that says what is wrong and what to do. The tree is the architecture, and imports
//! point one way: [`gpu`] alone knows wgpu; [`ops`] alone knows shaders; [`model`] knows ops; [`weights`], [`data`], [`feed`],
//! [`train`], [`mod@bench`] and [`verify`] know models; the command line knows everything.

// `cli::console` alone writes to the terminal: `println!` and `eprintln!` panic where nobody reads.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod bench;
mod cache;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod data;
pub mod error;
pub mod feed;
mod fetch;
mod files;
pub mod gpu;
pub mod isa;
pub mod model;
pub mod ops;
pub mod predict;
pub mod reference;
pub mod runs;
pub mod runtime;
pub mod train;
pub mod tune;
pub mod verify;
pub mod weights;

pub use cache::cache_dir;
pub use error::{Error, Result};
pub use predict::Classifier;
pub use runs::FineTune;
