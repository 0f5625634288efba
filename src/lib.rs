//! ResNet inference and fine-tuning on any GPU: hand-written WGSL compute shaders, scheduled by wgpu.
//!
//! Three lines classify a photograph, here by the network that is built in:
//!
//! ```
//! use gpu_resnet::Classifier;
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let mut classifier = Classifier::open(None)?;
//! let top = classifier.classify_file("tests/golden/photos/coffee.jpg")?.top(1);
//! println!("{}: {:.1} %", top[0].label, top[0].probability * 100.0);
//! # assert_eq!(top[0].label, "safe");
//! # Ok(())
//! # }
//! ```
//!
//! [`Classifier::open`] takes what `--weights` takes: a .safetensors or .pth file, a run's or a hub's folder, or a name of
//! `gpu-resnet weights list`; [`Classifier::builder`] chooses adapter, precision and batch.
//!
//! Five lines train a network for classes of one's own, and use it. The run's folder is that of `gpu-resnet finetune`:
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
//! Below that are the parts. A network and what runs it, by themselves:
//!
//! ```
//! use std::sync::Arc;
//!
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
//! let gpu = Gpu::open(&AdapterChoice::default())?;
//! let network = Arc::new(Network::new(&gpu, &architecture, &weights)?);
//! let mut predictor = Predictor::new(network, InputKind::Pixels { mean, std }, [crop as usize; 2], 32)?;
//! let image = preprocess.apply(&Rgb8::black(40, 40))?;
//! let output = predictor.run_pixels(&image.pixels)?;
//! assert_eq!((output.logits.len(), output.features.len()), (10, 64));
//! # Ok(())
//! # }
//! ```
//!
//! A head for classes of one's own, on features such as those:
//!
//! ```
//! use gpu_resnet::gpu::{AdapterChoice, Gpu};
//! use gpu_resnet::train::{Examples, HeadOptions, HeadShape, HeadTrainer};
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let gpu = Gpu::open(&AdapterChoice::default())?;
//! let train = Examples { features: &[0.0, 1.0, 1.0, 0.0], labels: &[0, 1] };
//! let options = HeadOptions { lr: 1e-1, ..HeadOptions::default() };
//! let mut trainer = HeadTrainer::new(&gpu, HeadShape { features: 2, classes: 2 }, train, None, options, None)?;
//! for epoch in 1..=20 {
//!     let result = trainer.epoch(epoch, |_| Ok(()))?;
//!     println!("epoch {epoch}: loss {}", result.train_loss);
//! }
//! let logits = trainer.head()?.logits(&[0.0, 1.0]);
//! assert!(logits[0] > logits[1]);
//! # Ok(())
//! # }
//! ```
//!
//! One operation, with PyTorch's layouts:
//!
//! ```
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
//! ```
//! use gpu_resnet::gpu::{AdapterChoice, Gpu};
//! use gpu_resnet::verify::cases::{Suite, cases};
//! use gpu_resnet::verify::check::Checker;
//! use gpu_resnet::verify::report::Status;
//!
//! # fn main() -> gpu_resnet::Result<()> {
//! let gpu = Gpu::open(&AdapterChoice::default())?;
//! let mut checker = Checker::default();
//! for case in cases(Suite::Quick)?.iter().filter(|case| case.to_string().starts_with("relu ")) {
//!     assert_eq!(checker.check(&gpu, case).result.status, Status::Pass, "{case}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! All are on by default. Without them (`cargo add gpu-resnet --no-default-features`) everything above works; what needs a
//! feature that is off says so, or is not there.
//!
//! | feature | what it brings |
//! |---|---|
//! | `cli` | the program `gpu-resnet` (clap, indicatif, ctrlc); it turns on `reports` |
//! | `fetch` | networks and data sets by name are fetched (ureq, tar) |
//! | `parquet` | `infer` writes Parquet |
//! | `plots` | curves, confusion matrices and rooflines as SVG (plotters) |
//! | `reports` | pages of runs and of verifications as HTML (maud); it turns on `plots` |
//!
//! Every error is an [`Error`], one sentence that says what is wrong and what to do. The tree is the architecture, and imports
//! point one way: [`gpu`] alone knows wgpu; [`ops`] alone knows shaders; [`model`] knows ops; [`weights`], [`data`], [`inference`],
//! [`train`], [`mod@bench`] and [`verify`] know models; [`runtime`], [`predict`] and [`runs`] are whole tasks of these; the
//! command line knows everything.

// Where it is allowed to be missing, fields say by their names what they are.
#![warn(missing_docs)]
// `cli::console` alone writes to the terminal: `println!` and `eprintln!` panic where nobody reads.
#![deny(clippy::print_stderr, clippy::print_stdout)]

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
#[allow(missing_docs)]
pub mod gpu;
pub mod inference;
pub mod isa;
#[allow(missing_docs)]
pub mod model;
#[allow(missing_docs)]
pub mod ops;
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

/// The examples of the page are compiled with those of the crate.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
mod library_page {}

pub use cache::cache_dir;
pub use error::{Error, Result};
pub use predict::Classifier;
pub use runs::FineTune;
