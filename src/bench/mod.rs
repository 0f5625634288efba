//! How fast a network, a training step or a convolution runs on a device, beside that device's own measured peaks.
//!
//! [`peaks`] measures the peaks, [`infer`], [`train_all`] and [`train_head`] a network at one batch size, [`convolutions`]
//! each of its convolutions by itself; [`kernels`] shows what the driver's compiler made of what they run.

mod convolutions;
mod kernels;
mod network;
mod peaks;
mod profile;
mod result;
#[cfg(feature = "plots")]
mod roofline;
mod timing;

pub use convolutions::{ConvTimes, convolutions};
pub(crate) use convolutions::{Shape, shapes};
pub use kernels::{Figures, Inspected, KernelReport, kernels};
pub use network::{infer, train_all, train_head};
pub use peaks::{Peaks, peaks};
pub use profile::{KernelTime, Profile};
pub use result::{Mode, Options, Run, StepParts, TrainPart};
#[cfg(feature = "plots")]
pub use roofline::draw_roofline;
