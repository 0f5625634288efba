//! Networks: what they are made of ([`Architecture`], [`Layers`]), and running them on a GPU ([`Network`], [`Forward`],
//! [`Predictor`]). Nothing here knows a file format.

pub mod architecture;
mod fold;
mod forward;
mod grad_cam;
mod gradients;
mod input;
mod layer_ops;
pub mod layers;
mod names;
mod network;
mod parameters;
mod pass;
mod predictor;
mod trainable;
pub mod validate;
mod walk;

pub use architecture::{Architecture, BlockKind, Pool, Shortcut, Stem, StemKind, StrideIn};
pub use fold::fold_bn;
pub use forward::{Forward, Output, Pending, StageOutput};
pub use grad_cam::{ClassMap, GradCam};
pub use gradients::{GradientPass, Gradients};
pub use input::InputKind;
pub use layer_ops::conv_op;
pub use layers::{BatchNorm, Block, BlockShortcut, ConvBn, Layers, Linear, Stage, StemLayers};
pub use network::{ForwardTensors, Network, TensorSource};
pub use parameters::{ParameterKind, ParameterSpec};
pub use pass::{PassOptions, PassTensors, Recompute, record_evaluation, record_forward, record_pass};
pub use predictor::Predictor;
pub use trainable::{Parameter, TrainableNetwork};
