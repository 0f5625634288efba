//! Training: the optimiser's steps on the GPU, the recipes, and the RUN folder with the results.
//!
//! Two trainers share the folder, its metrics and its pictures. [`HeadTrainer`] runs epochs over `[N, C]` features that were
//! computed once, and knows no image; [`fit`] drives it by a [`Recipe`]. [`NetworkTrainer`] runs forward and backward over
//! images, for a whole network or its upper part; [`fit_network`] drives it by [`NetworkSettings`], on one adapter or, as
//! [`data_parallel`] has it, on several. Both write checkpoints
//! and metrics into a [`RunDir`] and stop at once when an [`Interrupt`] is raised. [`FeatureCache`] keeps features on disk by
//! the content of their images.

mod batches;
mod checkpoint;
#[cfg(feature = "plots")]
mod curves;
pub mod data_parallel;
mod epoch_order;
mod epochs;
mod event;
mod feature_cache;
mod files;
mod fit;
mod gradient_norms;
mod head;
mod head_trainer;
mod initial;
mod interrupt;
mod loss_scale;
mod metrics;
mod network_checkpoint;
mod network_fit;
mod network_settings;
mod network_shared;
mod network_step;
mod network_trainer;
mod options;
mod parameters;
mod read_failures;
mod recipe;
mod run_claim;
mod run_data;
mod run_dir;
mod run_lock;
mod scaler;
mod schedule;
mod state;
mod tensor_file;
mod tensorboard;
mod unreadable;
mod update;

pub use batches::Examples;
pub use checkpoint::{Best, Checkpoint, Milestone};
#[cfg(feature = "plots")]
pub use curves::draw_curves;
pub use event::Event;
pub use feature_cache::FeatureCache;
pub use fit::{Fit, Outcome, fit, fit_async};
pub use head::{Head, HeadShape};
pub use head_trainer::{EpochProgress, HeadTrainer};
pub use initial::{Tensors, fresh, with_fresh_head};
pub use interrupt::Interrupt;
pub use loss_scale::LossScale;
pub use metrics::{BlockGradient, EpochResult, Evaluation};
#[cfg(fuzzing)]
pub use network_checkpoint::{CheckpointLayout, NetworkCheckpoint};
pub use network_fit::{NetworkFit, NetworkOutcome, SaveModel, fit_network};
pub use network_settings::{BnMode, NetworkSettings, Unfreeze};
pub use network_shared::NetworkOptions;
pub use network_step::StepResult;
pub use network_trainer::{NetworkState, NetworkTrainer, TrainingMemory};
pub use options::{HeadOptions, Optimizer};
pub use recipe::{Choice, Recipe, Settings, Trial};
pub(crate) use run_data::same_images;
pub use run_data::{digest_images, sample_images};
pub use run_dir::{RunConfig, RunDir};
pub use scaler::Scaler;
pub use schedule::{Curve, Schedule};
pub use state::{HeadState, Moment};
pub use tensorboard::EventFile;
pub use unreadable::{LeftOut, Unreadable};
