//! Data-parallel training: each adapter computes the gradients of its own batch, the host averages them, the first adapter makes the
//! optimiser's step, and the others take its parameters.
//!
//! A step of `N` adapters covers `N` consecutive batches of the epoch's order, one for each, in the order of the adapters. Gradients are
//! weighted by the images of their batch, so that they are those of the mean loss over all of them, and summed in f64 in the order of
//! the adapters. So the same adapters give the same bits in every run. Drivers round differently; since only one of them updates the
//! parameters, all adapters have the same ones in each step.
//!
//! As with PyTorch's `DistributedDataParallel`, `batch_size` is that of one adapter, each normalises by the statistics of its own batch,
//! and the running statistics of the first adapter are those that are validated and kept.

mod average;
mod gradient_plan;
mod part;
mod remote;
mod share;
mod stepper;
mod team;
mod update_plan;
mod worker;
mod workers;

pub use part::{AdapterTime, Part, PartReport};
pub use remote::RemoteWorkers;
pub use share::Place;
pub(super) use share::Share;
pub(super) use stepper::Stepper;
pub use team::{ParallelTrainer, Trainers};
pub use worker::{StepRequest, Worker};
pub use workers::{LocalWorkers, Workers};
