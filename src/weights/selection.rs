//! The network among a file's tensors, and what names tell of a tensor.

use std::collections::BTreeMap;

use super::text::some;

/// The network among a file's tensors.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// The prefix of every name of the network in the file: `state_dict.module.`.
    pub prefix: String,
    /// Each tensor's index in the given list, by its name here.
    pub names: BTreeMap<String, usize>,
    /// Names in the file of unexpected tensors beside the network.
    pub left_out: Vec<String>,
    /// Those of `left_out` that look like a part of the forward pass, so that predictions without them may be wrong.
    pub doubtful: Vec<String>,
    pub head: Head,
    /// Prefixes of the file's other networks.
    pub others: Vec<String>,
}

impl Selection {
    /// Whether the file's tensor `name` belongs to this network, and not to one inside it.
    pub fn holds(&self, name: &str) -> bool {
        name.strip_prefix(self.prefix.as_str()).is_some_and(|short| !is_of_training(short))
            && !of_another(&self.prefix, &self.others, name)
    }
}

/// The kind of classifier in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Head {
    /// One linear layer, under `fc.weight` and `fc.bias` here.
    Linear {
        /// Whether the file has a bias; otherwise the bias is zero.
        bias: bool,
    },
    /// No classifier.
    #[default]
    None,
    /// More than one linear layer, which is not supported; the names of its tensors.
    Layers(Vec<String>),
}

impl Head {
    /// Why there are no predictions, if there are none; it completes the sentence "FILE …".
    pub fn missing(&self) -> Option<String> {
        match self {
            Head::Linear { .. } => None,
            Head::None => Some("has no head (no classifier such as `fc`)".into()),
            Head::Layers(names) => {
                let names = some(names.iter().map(String::as_str));
                Some(format!("has a head of several layers ({names}), which is not run"))
            }
        }
    }
}

/// Whether `name` belongs to a different network than the one under `prefix`: one inside it, around it, or elsewhere.
pub(super) fn of_another(prefix: &str, others: &[String], name: &str) -> bool {
    let around = |other: &str| prefix.starts_with(other) && name.starts_with(prefix);
    others.iter().any(|other| other != prefix && name.starts_with(other.as_str()) && !around(other))
}

/// The part of `name` after the parts that it shares with `prefix`: `head.weight` of `module.head.weight` for
/// `module.backbone.`.
pub(super) fn below<'n>(prefix: &str, name: &'n str) -> &'n str {
    let common = prefix.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let cut = name.as_bytes()[..common].iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1);
    &name[cut..]
}

/// Tensors of training rather than of the network: losses, metrics, counters, the optimiser's.
pub(super) fn is_of_training(name: &str) -> bool {
    const PARTS: [&str; 28] = [
        "optimizer",
        "optimizers",
        "optim",
        "lr_schedulers",
        "grad",
        "grads",
        "gradients",
        "param_groups",
        "exp_avg",
        "exp_avg_sq",
        "max_exp_avg_sq",
        "momentum_buffer",
        "square_avg",
        "acc_delta",
        "lr_scheduler",
        "scheduler",
        "scaler",
        "rng_state",
        "cuda_rng_state",
        "criterion",
        "loss",
        "loss_fn",
        "metric",
        "metrics",
        "n_averaged",
        "best_acc1",
        "callbacks",
        "confusion_matrix",
    ];
    const STARTS: [&str; 10] =
        ["criterion_", "optimizer_", "loss_", "metric_", "metrics_", "train_", "val_", "valid_", "test_", "best_"];
    name.split('.').any(|part| PARTS.contains(&part) || STARTS.iter().any(|start| part.starts_with(start)))
}

/// Whether `name`, below the network's prefix, belongs to a ResNet's body rather than to a head.
pub(super) fn is_of_body(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    let stage = first.strip_prefix("layer").is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
    stage || ["conv1", "bn1", "bn", "embedder", "encoder", "stem", "stages"].contains(&first)
}
