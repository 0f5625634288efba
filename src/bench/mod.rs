//! How fast a network, a training step or a convolution runs on a device, compared with the device's own measured peaks.
//!
//! [`peaks`] measures the peaks; [`infer`], [`train_all`] and [`train_head`] measure a network at one batch size;
//! [`convolutions`] measures each of its convolutions; [`kernels`] shows what the driver's compiler made of their kernels.

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
