//! ResNet inference and fine-tuning on any GPU: hand-written WGSL compute shaders, scheduled by wgpu.
//!
//! Three lines classify a photograph, here with the built-in network:
//!
//! ```no_run
//! use gpu_resnet::Classifier;
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let mut classifier = Classifier::open(None)?;
//! let top = classifier.classify_file("photo.jpg")?.top(1);
//! println!("{} {:.1} %", top[0].label, top[0].probability * 100.0);
//! # Ok(())
//! # }
//! ```
//!
//! [`Classifier::open`] takes what `--weights` takes: a .safetensors or .pth file, the folder of a run or of the Hugging Face hub,
//! or a name of `gpu-resnet weights list`. [`Classifier::builder`] sets adapter, precision and batch size.
//!
//! Five lines train a network for your own classes, and use it. The run's folder is the one that `gpu-resnet finetune` writes:
//!
//! ```no_run
//! use gpu_resnet::{Classifier, FineTune};
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let summary = FineTune::new("photos/").epochs(10).run("runs/x")?;
//! println!("validation accuracy {:?}", summary.val_accuracy);
//! let mut classifier = Classifier::open(Some("runs/x"))?;
//! println!("{}", classifier.classify_file("new.jpg")?.best().label);
//! # Ok(())
//! # }
//! ```
//!
//! Below that level are the parts. What waits for the device is an `async fn` there; [`block_on`] waits for one. A network, and a
//! predictor that runs it:
//!
//! ```
//! use std::sync::Arc;
//!
//! use gpu_resnet::block_on;
//! use gpu_resnet::data::{Preprocess, Rgb8};
//! use gpu_resnet::gpu::{AdapterChoice, Gpu};
//! use gpu_resnet::model::{InputKind, Network, Predictor};
//! use gpu_resnet::weights;
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let weights = weights::open(Some("resnet20-digits"))?;
//! let architecture = weights::infer_architecture(&weights)?;
//! weights::check(&weights, &architecture)?;
//! let preprocess = Preprocess::from_json(weights.preprocess().unwrap_or("{}"))?;
//! let Preprocess { mean, std, crop, .. } = preprocess;
//!
//! let gpu = block_on(Gpu::open(&AdapterChoice::default()))?;
//! let network = Arc::new(block_on(Network::new(&gpu, &architecture, &weights))?);
//! let mut predictor = Predictor::new(network, InputKind::Pixels { mean, std }, [crop as usize; 2], 32)?;
//! let image = preprocess.apply(&Rgb8::black(40, 40))?;
//! let output = block_on(predictor.run_pixels(&image.pixels))?;
//! assert_eq!((output.logits.len(), output.features.len()), (10, 64));
//! # Ok(())
//! # }
//! ```
//!
//! A head for your own classes, trained on such features:
//!
//! ```
//! use gpu_resnet::block_on;
//! use gpu_resnet::gpu::{AdapterChoice, Gpu};
//! use gpu_resnet::train::{Examples, HeadOptions, HeadShape, HeadTrainer};
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let gpu = block_on(Gpu::open(&AdapterChoice::default()))?;
//! let train = Examples { features: &[0.0, 1.0, 1.0, 0.0], labels: &[0, 1] };
//! let options = HeadOptions { lr: 1e-1, ..HeadOptions::default() };
//! let mut trainer = HeadTrainer::new(&gpu, HeadShape { features: 2, classes: 2 }, train, None, options, None)?;
//! for epoch in 1..=20 {
//!     let result = block_on(trainer.epoch(epoch, |_| Ok(())))?;
//!     println!("epoch {epoch}: loss {}", result.train_loss);
//! }
//! let logits = block_on(trainer.head())?.logits(&[0.0, 1.0]);
//! assert!(logits[0] > logits[1]);
//! # Ok(())
//! # }
//! ```
//!
//! One operation, in PyTorch's layouts:
//!
//! ```
//! use gpu_resnet::block_on;
//! use gpu_resnet::gpu::{AdapterChoice, Gpu};
//! use gpu_resnet::ops::host::{Array, add_relu};
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let gpu = block_on(Gpu::open(&AdapterChoice::default()))?;
//! let input = Array::new(&[1, 1, 1, 2], vec![-3.0, 1.0])?;
//! let other = Array::new(&[1, 1, 1, 2], vec![1.0, 1.0])?;
//! assert_eq!(block_on(add_relu(&gpu, &input, &other))?.data, [0.0, 2.0]);
//! # Ok(())
//! # }
//! ```
//!
//! A check that an adapter computes correctly:
//!
//! ```
//! use gpu_resnet::block_on;
//! use gpu_resnet::gpu::{AdapterChoice, Gpu};
//! use gpu_resnet::verify::cases::{Suite, cases};
//! use gpu_resnet::verify::check::Checker;
//! use gpu_resnet::verify::report::Status;
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let gpu = block_on(Gpu::open(&AdapterChoice::default()))?;
//! let mut checker = Checker::default();
//! for case in cases(Suite::Quick)?.iter().filter(|case| case.to_string().starts_with("relu ")) {
//!     assert_eq!(block_on(checker.check(&gpu, case)).result.status, Status::Pass, "{case}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! All are on by default. Without them (`cargo add gpu-resnet --no-default-features`) everything above works. What needs a missing
//! feature returns an error that says so, or is not compiled in.
//!
//! | feature | what it adds |
//! |---|---|
//! | `cli` | the program `gpu-resnet` (clap, indicatif, ctrlc); turns on `reports` |
//! | `fetch` | fetching networks and data sets by name (ureq, tar) |
//! | `parquet` | Parquet output of `infer`, features from Parquet for `finetune` |
//! | `plots` | curves, confusion matrices and rooflines as SVG (plotters) |
//! | `reports` | HTML pages of runs and verifications (maud); turns on `plots` |
//!
//! Every error is an [`Error`]: one sentence that says what is wrong and what to do. The source tree is the architecture, and
//! imports point one way: [`gpu`] alone knows wgpu; [`ops`] alone knows shaders; [`model`] knows ops; [`weights`], [`data`],
//! [`inference`], [`train`], [`mod@bench`] and [`verify`] know models; [`runtime`], [`predict`] and [`runs`] build whole tasks from
//! these; the command line knows everything.

// Where documentation may be missing, names say what fields are.
#![warn(missing_docs)]
// `cli::console` alone writes to the terminal: `println!` and `eprintln!` panic if nobody reads.
#![deny(clippy::print_stderr, clippy::print_stdout)]
// What no compiler checks is in few places, each with its reason: docs/internals/reliability.md lists them.
#![deny(unsafe_code)]

#[allow(missing_docs)]
pub mod bench;
mod cache;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod data;
pub mod error;
mod fetch;
mod files;
/// Readers of files that nothing else outside of the crate calls: for the targets in `fuzz`.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::data::unpack;
    pub use crate::gpu::read_pipelines;
    pub use crate::train::{CheckpointLayout, NetworkCheckpoint};
}
#[allow(missing_docs)]
pub mod gpu;
pub mod inference;
pub mod isa;
#[allow(missing_docs)]
pub mod model;
#[allow(missing_docs)]
pub mod ops;
mod panics;
pub mod predict;
pub mod reference;
pub mod runs;
pub mod runtime;
#[allow(missing_docs)]
pub mod train;
#[allow(missing_docs)]
pub mod tune;
#[allow(missing_docs)]
pub mod verify;
pub mod weights;

// The examples of these pages are tested like those of the crate, so that they cannot go stale.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/library.md")]
mod library_page {}

pub use cache::cache_dir;
pub use error::{Error, Result};
pub use gpu::block_on;
pub use predict::Classifier;
pub use runs::FineTune;
