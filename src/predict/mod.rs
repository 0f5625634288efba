//! From weights and images to predictions: a network with its labels and preprocessing ([`LoadedNetwork`]), the meaning of its
//! logits ([`probabilities`], [`top_k`]), its accuracy ([`Tally`]), and all of it in three lines: [`Classifier`].

mod batches;
mod classifier;
#[cfg(feature = "plots")]
mod confusion;
mod evaluate;
mod finite;
mod loaded_network;
mod prediction;
mod probabilities;
mod setters;
mod stream;
mod tally;

pub(crate) use batches::run_batches;
pub use classifier::{Classifier, ClassifierBuilder};
#[cfg(feature = "plots")]
pub use confusion::draw_confusion;
pub use evaluate::{evaluate, labelled_images};
pub(crate) use finite::Finite;
#[cfg(feature = "cli")]
pub(crate) use loaded_network::warn;
pub use loaded_network::{LoadedNetwork, NetworkSource, Use, needs_head};
pub use prediction::{Classification, Prediction, predictions};
pub use probabilities::{classes_of, cross_entropy, probabilities, top_k};
pub(crate) use setters::source_and_runtime_setters;
pub use stream::Row;
pub use tally::{Accuracy, Tally};
